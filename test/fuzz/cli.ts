import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { PROGRAM } from '../cli.js';

/** Parts of command lines; none builds or installs anything, as no kernel has that release. */
const WORDS = [
  ...[
    'doctor',
    'module',
    'build',
    'install',
    'status',
    'stats',
    '--once',
    'help',
    '--help',
    '-h',
    '--version',
    '--json',
    '--jsn',
  ],
  ...[
    '--json=yes',
    '--kernel',
    '9.9.9-none',
    '--kernel=',
    '--headers',
    '/nowhere',
    '/dev/null',
    '/proc',
    '--',
    '-',
  ],
  ...[
    '',
    ' ',
    '-x',
    '--',
    'doctor\nmodule',
    '\u{1f4a5}',
    '__proto__',
    'constructor',
    '--__proto__',
    'x'.repeat(5000),
  ],
];
const VARIABLES = {
  RDMA_REGCACHE_MONITOR: ['auto', 'none', 'userfaultfd', 'ummunotify', 'malloc-hooks', 'x', '__proto__'],
  RDMA_REGCACHE_DEVICE: [
    '/dev/null',
    '/dev/zero',
    '/tmp',
    '/nowhere',
    '/proc/self/mem',
    '/proc/version',
    'x',
  ],
  RDMA_REGCACHE_MAX_REGISTRATIONS: ['1', '0', '-1', 'unlimited', 'NaN', '9'.repeat(400)],
  RDMA_REGCACHE_MAX_PINNED_BYTES: ['1K', 'K', '1e9', '\u{1f4a5}'],
  RDMA_REGCACHE_BYPASS: ['1', '0', 'perhaps'],
  RDMA_REGCACHE_CHECKING: ['1', 'x'],
  RDMA_REGCACHE_SLIP: ['1'],
  HOME: ['/nowhere', '', '/dev/null'],
  XDG_CACHE_HOME: ['/dev/null', 'relative', '/nowhere'],
  PATH: ['', '/nowhere', '/dev/null:.'],
  CC: ['/nowhere', 'false'],
  COLUMNS: ['1', '0', 'x'],
  TERM: ['dumb', ''],
  NO_COLOR: ['1', ''],
} as const;

/** Where stdout goes: read, at its end at once, full, closed, or a terminal of a few columns. */
const OUTPUTS = ['read', 'gone', 'full', 'closed', 'terminal'] as const;
type Output = (typeof OUTPUTS)[number];

const SHELL: Readonly<Record<Output, string>> = {
  read: 'exec "$@"',
  // The reader has gone before there is anything to read.
  gone: '{ sleep 0.3; "$@"; echo "status $?" >&3; } 3>&2 | true',
  full: 'exec "$@" >/dev/full',
  closed: 'exec "$@" >&-',
  // script(1) gives it a terminal; without a size of its own it has 0 columns.
  terminal: 'exec script -qec "$(printf "%q " "$@")" /dev/null',
};

interface Invocation {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
}

const invocation: fc.Arbitrary<Invocation> = fc.record({
  words: fc.oneof(
    fc.array(fc.constantFrom(...WORDS), { maxLength: 5 }),
    fc.array(
      fc.string({ unit: 'grapheme', maxLength: 8 }).filter((text) => !text.includes('\0')),
      { maxLength: 3 },
    ),
    fc.constantFrom(['doctor'], ['doctor', '--json'], ['module', 'status', '--json'], ['module', 'status']),
  ),
  env: fc.record(
    Object.fromEntries(
      Object.entries(VARIABLES).map(([name, values]) => [
        name,
        fc.constantFrom(...(values as readonly string[])),
      ]),
    ),
    { requiredKeys: [] },
  ),
  output: fc.constantFrom(...OUTPUTS),
});

/** No invocation may install anything, should the machine be able to. */
const isHarmless = ({ words }: Invocation): boolean =>
  (!words.includes('install') && !words.includes('build')) || words.includes('9.9.9-none');

export function check({ words, env, output }: Invocation): void {
  // The shell around it keeps its own variables.
  const variables = Object.entries({ PATH: process.env['PATH'], HOME: process.env['HOME'], ...env });
  const set = variables.map(([name, value]) => `${name}=${value ?? ''}`);
  const argv = ['/usr/bin/env', '-i', ...set, process.execPath, PROGRAM, ...words];
  const { status, signal, stdout, stderr } = spawnSync('/bin/bash', ['-c', SHELL[output], 'sh', ...argv], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  const ended = output === 'gone' ? Number(/^status (\d+)$/m.exec(stderr)?.[1] ?? NaN) : status;
  const said = `${stdout}\n${stderr}`;
  assert.equal(signal, null, said);
  assert.ok(ended !== null && [0, 1, 2].includes(ended), `${output}: exit status ${String(ended)}: ${said}`);
  assert.doesNotMatch(said, /^\s+at .*:\d+:\d+\)?$|TypeError|Unhandled|\bundefined\b|\[object /m);
  const asksForFacts = words.includes('--json') && !words.includes('--help') && ended !== 2;
  if (output !== 'read' || ended === 2 || !asksForFacts) return;
  // What could not be done at all says so on stderr, and then there is nothing on stdout.
  if (stdout !== '') JSON.parse(stdout);
  else assert.match(stderr, /^rdma-regcache: /m);
}

/** @throws with the seed and the shortest invocation found that is not answered as promised */
export async function fuzzCli(seed: number, runs: number, seconds: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(invocation.filter(isHarmless), async (each) => {
      check(each);
      // Between two, so that time is up when it is.
      await new Promise(setImmediate);
    }),
    { seed, numRuns: runs, interruptAfterTimeLimit: seconds * 1000, includeErrorInReport: true },
  );
}
