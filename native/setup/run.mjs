import { spawnSync } from 'node:child_process';
import { SetupError } from './step.mjs';

/** Runs a program silently; when it fails, the end of its output is in the error. */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
    ...options,
  });
  if (result.error) throw new SetupError(`${program} cannot be run: ${result.error.message}`);
  // The user stopped it (Ctrl-C): stop as well, without blaming the program.
  if (result.signal === 'SIGINT' || result.signal === 'SIGTERM') process.exit(130);
  if (result.status !== 0) {
    const output = `${result.stderr ?? ''}${result.stdout ?? ''}`.trim().split('\n').slice(-20).join('\n');
    throw new SetupError(`${program} ${args.slice(0, 4).join(' ')} failed:\n${output}`);
  }
  return result.stdout;
}
