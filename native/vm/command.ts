/** Variables of the host's environment that the command sees in the guest; names that end in `*` are prefixes. */
const PASSED = ['PATH', 'HOME', 'TERM', 'LANG', 'CI', 'FORCE_COLOR', 'NO_COLOR', 'NODE_*', 'RDMA_REGCACHE_*'];

const STANDARD_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A word that the shell takes as exactly that text. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The shell script that becomes the command: same arguments, working folder and part of the environment. */
export function commandScript(argv: readonly string[], folder: string, env: NodeJS.ProcessEnv): string {
  const variables = Object.entries(env)
    .filter(([name]) => isPassed(name))
    .map(([name, value]) => [name, value ?? ''] as const);
  return [
    `cd ${quote(folder)} || exit 125`,
    'export HOME=/root',
    // Programs that measure say where they did.
    'export RDMA_REGCACHE_VM=1',
    ...variables.map(([name, value]) => `export ${name}=${quote(value)}`),
    // The guest's root needs the administrator's programs, which an unprivileged PATH does not name.
    `export PATH="\${PATH:+$PATH:}${STANDARD_PATH}"`,
    `exec ${argv.map(quote).join(' ')}`,
    '',
  ].join('\n');
}

function isPassed(name: string): boolean {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return false;
  return PASSED.some((known) => (known.endsWith('*') ? name.startsWith(known.slice(0, -1)) : name === known));
}
