import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** The main program of an example. */
export function mainOf(name: string): string {
  return new URL(`../../../examples/${name}/main.js`, import.meta.url).href;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Start an example; it may be killed meanwhile. */
export function startExample(
  name: string,
  args: readonly string[],
): { process: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [fileURLToPath(mainOf(name)), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[status], stdout, stderr]) => ({ status: status as number | null, stdout, stderr }),
  );
  return { process: child, ended };
}

/** Run an example to its end. */
export async function runExample(name: string, ...args: string[]): Promise<Ended> {
  return startExample(name, args).ended;
}
