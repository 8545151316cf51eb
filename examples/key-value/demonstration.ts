import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { KeyValueClient } from './client.js';
import { KEYS, type Load, valueOf } from './load.js';

/** Let clients, each in a process of its own, get and put the same few keys at the same time. */
export async function demonstrate(
  { host, port }: { host: string; port: number },
  { clients, reads, valueBytes }: { clients: number; reads: number; valueBytes: number },
): Promise<Load[]> {
  {
    // Before anybody asks for it, there is something.
    await using client = await KeyValueClient.connect(host, port);
    for (const key of KEYS) await client.put(key, valueOf(key, 0, 0, valueBytes));
  }
  const program = fileURLToPath(new URL('load-process.js', import.meta.url));
  const run = async (number: number): Promise<Load> => {
    const client = fork(program, [host, ...[port, number, reads, valueBytes].map(String)]);
    const ended = once(client, 'exit').then(() => {
      throw new Error(`client ${number} ended early; its error stands above`);
    });
    const load = await Promise.race([once(client, 'message'), ended]);
    ended.catch(() => undefined);
    return load[0] as Load;
  };
  return Promise.all(Array.from({ length: clients }, (_, n) => run(n + 1)));
}

/** The loads for people. */
export function render(loads: readonly Load[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    cells.map((cell, column) => String(cell).padStart(column === 0 ? 6 : 22)).join('');
  const head = line(['client', 'puts', 'values read', 'torn, read again', 'wrong']);
  return [
    head,
    '-'.repeat(head.length),
    ...loads.map(({ puts, reads, torn, wrong }, n) => line([n + 1, puts, reads, torn, wrong])),
  ].join('\n');
}
