import { spawn } from 'node:child_process';
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

/** Run an example to its end. */
export async function runExample(name: string, ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [fileURLToPath(mainOf(name)), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [[status], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { status, stdout, stderr };
}
