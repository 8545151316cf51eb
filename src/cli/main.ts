#!/usr/bin/env node
import { CliError, EXIT } from './cli-error.js';
import { doctor } from './doctor/command.js';
import { moduleCommand } from './module/command.js';
import { packageVersion } from './package.js';
import { stats } from './stats/command.js';
import { USAGE } from './usage.js';

type Command = (args: readonly string[]) => Promise<number>;
const COMMANDS = new Map<string, Command>([
  ['doctor', doctor],
  ['module', moduleCommand],
  ['stats', stats],
]);

async function run([name = '', ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(USAGE);
    return EXIT.OK;
  }
  if (name === '--version') {
    process.stdout.write(`${packageVersion()}\n`);
    return EXIT.OK;
  }
  const command = COMMANDS.get(name);
  if (command !== undefined) return command(args);
  throw new CliError(name === '' ? USAGE : `there is no command '${name}'\n\n${USAGE}`, EXIT.USAGE);
}

// Whoever reads the output may have had enough of it: no reason for a stack trace.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', () => {
    process.exitCode ??= EXIT.FAILED;
  });
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`rdma-regcache: ${message.trimEnd()}\n`);
  process.exitCode = error instanceof CliError ? error.exitStatus : EXIT.FAILED;
}
