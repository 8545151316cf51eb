import { createInterface } from 'node:readline';

/** What a meter can be asked: names of commands, with numbers. */
export type Commands = Record<string, (...numbers: number[]) => unknown>;

/** Be a meter until the input ends. */
export async function answer(commands: Commands): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...numbers] = line.split(' ');
    process.stdout.write(`${JSON.stringify(commands[name](...numbers.map(Number)))}\n`);
  }
}
