import { LRUCache } from 'lru-cache';
import { UNLISTED, type Entry } from './registration.js';

/**
 * Which idle registration goes first: oldest first, with a second chance for one used since it was last looked at.
 * A hit never comes here: it only marks its entry.
 */
export class EvictionOrder {
  // The bound is the cache's own business (entries in use may exceed it); here the order has none.
  readonly #order = new LRUCache<number, Entry>({
    maxSize: Number.MAX_SAFE_INTEGER,
    sizeCalculation: () => 1,
  });

  add(entry: Entry): void {
    this.#order.set(entry.slot, entry);
  }

  remove(entry: Entry): void {
    this.#order.delete(entry.slot);
  }

  /** Take the next idle entry out of the order; undefined when all are in use. */
  takeOldest(): Entry | undefined {
    for (;;) {
      const entry = this.#order.pop();
      if (entry === undefined) return undefined;
      if (entry.uses !== 0) {
        // Off the order until its last release puts it back, so that the next search need not pass it again.
        entry.flags |= UNLISTED;
      } else if (entry.marked) {
        entry.marked = false;
        this.#order.set(entry.slot, entry);
      } else {
        return entry;
      }
    }
  }
}
