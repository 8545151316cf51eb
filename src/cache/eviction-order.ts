import { LRUCache } from 'lru-cache';
import { type Entry, RETIRED, UNCACHED, UNLISTED } from './registration.js';

/** Entries that came one after the other and are kept together. */
const RUN = 64;

/**
 * Which idle registration goes first: oldest first, with a second chance for one used since it was last looked at.
 * A hit never comes here: it only marks its entry. What is kept in order is runs of entries, as a place in an LRUCache
 * takes as much memory as half of all else that is known of an idle registration.
 */
export class EvictionOrder {
  // The bound is the cache's own business (entries in use may exceed it); here the order has none.
  readonly #full = new LRUCache<number, readonly Entry[]>({
    maxSize: Number.MAX_SAFE_INTEGER,
    sizeCalculation: () => 1,
  });
  #nextNumber = 0;
  #filling: Entry[] = [];
  /** The oldest run, and the first in it that has not been taken. */
  #taking: readonly Entry[] = [];
  #next = 0;
  /** Entries in the runs that may be given up, and those that were retired meanwhile. */
  #listed = 0;
  #retired = 0;

  /** Add an entry that is not in the order as the newest. */
  add(entry: Entry): void {
    this.#listed++;
    this.#append(entry);
  }

  #append(entry: Entry): void {
    if (this.#filling.length === RUN) {
      // A copy has no room to grow.
      this.#full.set(this.#nextNumber++, this.#filling.slice());
      this.#filling = [];
    }
    this.#filling.push(entry);
  }

  /** Forget a retired entry, if it is in the order. */
  remove(entry: Entry): void {
    if ((entry.flags & (UNLISTED | UNCACHED)) !== 0) return;
    entry.flags |= UNLISTED;
    this.#listed--;
    this.#retired++;
    if (this.#retired > RUN && this.#retired > this.#listed / 4) this.#leaveOutRetired();
  }

  #leaveOutRetired(): void {
    const runs: (readonly Entry[])[] = [this.#taking.slice(this.#next)];
    for (let run = this.#full.pop(); run !== undefined; run = this.#full.pop()) runs.push(run);
    runs.push(this.#filling);
    // Not one array for both: what is appended would be in the oldest run as well.
    this.#taking = [];
    this.#filling = [];
    this.#next = this.#retired = 0;
    for (const run of runs) for (const entry of run) if ((entry.flags & RETIRED) === 0) this.#append(entry);
  }

  /** Take the next idle entry out of the order; undefined when all are in use. */
  takeOldest(): Entry | undefined {
    for (let entry = this.#takeAny(); entry !== undefined; entry = this.#takeAny()) {
      if ((entry.flags & RETIRED) !== 0) {
        this.#retired--;
      } else if (entry.uses === 0 && entry.marked) {
        entry.unmark();
        this.#append(entry);
      } else {
        this.#listed--;
        // Off the order; the last release puts one that is in use back, so that the next search need not pass it again.
        entry.flags |= UNLISTED;
        if (entry.uses === 0) return entry;
      }
    }
    return undefined;
  }

  #takeAny(): Entry | undefined {
    if (this.#next === this.#taking.length) {
      this.#taking = this.#full.pop() ?? this.#filling;
      if (this.#taking === this.#filling) this.#filling = [];
      this.#next = 0;
    }
    return this.#next < this.#taking.length ? this.#taking[this.#next++] : undefined;
  }
}
