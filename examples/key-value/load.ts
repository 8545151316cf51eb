import type { KeyValueClient } from './client.js';

/** Few, so that clients often want the same. */
export const KEYS = ['amber', 'blue', 'coral', 'denim'] as const;

/** What a client met. */
export interface Load {
  reads: number;
  puts: number;
  /** Reads that were seen to be torn, and done again. */
  torn: number;
  /** Values that nobody put, or that are older than one that was read before. */
  wrong: number;
}

/** What a client puts: it says all over what it is. Its length varies, from half of `most` bytes up to all. */
export function valueOf(key: string, client: number, put: number, most: number): Buffer {
  return Buffer.alloc(most - ((put * 997) % Math.ceil(most / 2)), `${key} ${client} ${put};`);
}

/** Whether it is what some client put for the key. */
export function isValue(key: string, value: Buffer, most: number): boolean {
  const match = /^\w+ (\d+) (\d+);/.exec(value.toString('latin1', 0, 64));
  return match !== null && value.equals(valueOf(key, Number(match[1]), Number(match[2]), most));
}

/**
 * Put values and get others at the same time, and see whether each is one that somebody put.
 * @param number of the client
 * @param most bytes of a value
 */
export async function putAndGet(
  client: KeyValueClient,
  number: number,
  reads: number,
  most: number,
): Promise<Load> {
  const load: Load = { reads: 0, puts: 0, torn: 0, wrong: 0 };
  const newest = new Map<string, number>();
  const putting = async (): Promise<void> => {
    for (; load.reads < reads; load.puts++) {
      const key = KEYS[load.puts % KEYS.length];
      await client.put(key, valueOf(key, number, load.puts + 1, most));
    }
  };
  const getting = async (): Promise<void> => {
    for (; load.reads < reads; load.reads++) {
      const key = KEYS[(load.reads + number) % KEYS.length];
      const entry = await client.get(key);
      const version = entry?.version ?? 0;
      if (entry === undefined || !isValue(key, entry.value, most) || version < (newest.get(key) ?? 0))
        load.wrong++;
      newest.set(key, version);
    }
  };
  await Promise.all([putting(), getting()]);
  return { ...load, torn: client.torn };
}
