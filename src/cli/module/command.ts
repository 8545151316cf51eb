import { join } from 'node:path';
import { parseArguments } from '../arguments.js';
import { CliError, EXIT } from '../cli-error.js';
import { MODULE_USAGE } from '../usage.js';
import { build } from './build.js';
import { install, requireRoot } from './install.js';
import { chooseTarget, requireTools } from './kernel-headers.js';
import { moduleStatus, renderStatus } from './status.js';

const HELP = { help: { type: 'boolean' }, json: { type: 'boolean' } } as const;
const TARGET = { ...HELP, kernel: { type: 'string' }, headers: { type: 'string' } } as const;

type Action = (args: readonly string[]) => Promise<number>;
const ACTIONS = new Map<string, Action>([
  ['build', buildAction],
  ['install', installAction],
  ['status', statusAction],
]);

export async function moduleCommand([name = '', ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || args.includes('--help')) {
    process.stdout.write(MODULE_USAGE);
    return EXIT.OK;
  }
  const action = ACTIONS.get(name);
  if (action !== undefined) return action(args);
  const slip = name === '' ? '' : `there is no command 'module ${name}'\n\n`;
  throw new CliError(slip + MODULE_USAGE, EXIT.USAGE);
}

async function buildAction(args: readonly string[]): Promise<number> {
  const { values } = parseArguments(args, TARGET, MODULE_USAGE);
  const target = requireTools(chooseTarget(values));
  const path = join(await build(target, tell), 'ummunotify.ko');
  print(values.json, { schema: 1, kernel: target.kernel, path }, `${path}\n`);
  return EXIT.OK;
}

async function installAction(args: readonly string[]): Promise<number> {
  const { values } = parseArguments(args, TARGET, MODULE_USAGE);
  // Before anything is asked of who cannot do it anyway.
  requireRoot(args);
  await install(requireTools(chooseTarget(values)), tell);
  const status = await moduleStatus();
  print(values.json, status, renderStatus(status));
  return EXIT.OK;
}

async function statusAction(args: readonly string[]): Promise<number> {
  const { values } = parseArguments(args, HELP, MODULE_USAGE);
  const status = await moduleStatus();
  print(values.json, status, renderStatus(status));
  return status.ok ? EXIT.OK : EXIT.FAILED;
}

function print(json: boolean | undefined, facts: object, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(facts, undefined, 2)}\n` : text);
}

/** Steps go to stderr: stdout is the answer. */
function tell(step: string): void {
  process.stderr.write(`${step} ...\n`);
}
