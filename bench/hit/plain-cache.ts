import { LRUCache } from 'lru-cache';

/** What is known of a range, as little as will do. */
interface Entry {
  readonly length: number;
  uses: number;
}

/** From an address to what is registered there; a page in the middle of a range is not found. */
export interface Table {
  get(address: number): Entry | undefined;
  set(address: number, entry: Entry): unknown;
}

export interface PlainCache {
  acquire(address: number, length: number): Entry;
  release(entry: Entry): void;
}

export const mapTable = (): Table => new Map<number, Entry>();

export const lruTable = (max: number): Table => new LRUCache<number, Entry>({ max });

/**
 * The simplest registration cache that looks at the mapped counter: exact addresses, nothing that overlaps, no eviction
 * but the table's own. Only for comparison: it never registers anything.
 */
export function plainCache({ counter }: { counter: Int32Array }, table: Table): PlainCache {
  return {
    acquire: (address, length) => {
      if (counter[0] !== 0 || counter[1] !== 0) throw new Error('nobody moves the counter here');
      let entry = table.get(address);
      if (entry === undefined || entry.length < length) {
        entry = { length, uses: 0 };
        table.set(address, entry);
      }
      entry.uses += 1;
      return entry;
    },
    release: (entry) => {
      entry.uses -= 1;
    },
  };
}
