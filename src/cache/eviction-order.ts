import { LRUCache } from 'lru-cache';
import { NOWHERE, UNLISTED, type Entry } from './registration.js';

/** Places in a run. */
const RUN = 64;

/** Entries that came one after the other. */
class Run {
  readonly number: number;
  /** By slot; 0 where one has left. */
  readonly slots = new Array<number>(RUN).fill(0);
  /** How many were added. */
  count = 0;
  /** How many there still are. */
  left = 0;
  /** The first that has not been taken. */
  next = 0;

  constructor(number: number) {
    this.number = number;
  }
}

/**
 * Which idle registration goes first: oldest first, with a second chance for one used since it was last looked at.
 * A hit never comes here: it only marks its entry. What is kept in order is runs of entries, as a place in an LRUCache
 * takes as much memory as half of all else that is known of an idle registration.
 */
export class EvictionOrder {
  readonly #entries: readonly (Entry | undefined)[];
  // The bound is the cache's own business (entries in use may exceed it); here the order has none.
  readonly #full = new LRUCache<number, Run>({
    maxSize: Number.MAX_SAFE_INTEGER,
    sizeCalculation: () => 1,
  });
  #filling = new Run(0);
  #taking = this.#filling;

  /** @param entries all, by slot */
  constructor(entries: readonly (Entry | undefined)[]) {
    this.#entries = entries;
  }

  /** Add an entry that is not in the order as the newest. */
  add(entry: Entry): void {
    if (this.#filling.count === RUN) this.#fillNext();
    const run = this.#filling;
    entry.place = run.number * RUN + run.count;
    run.slots[run.count++] = entry.slot;
    run.left++;
  }

  #fillNext(): void {
    const full = this.#filling;
    if (full.left !== 0 && full !== this.#taking) this.#full.set(full.number, full);
    this.#filling = new Run(full.number + 1);
  }

  remove(entry: Entry): void {
    if (entry.place === NOWHERE) return;
    const run = this.#runOf(entry.place);
    run.slots[entry.place % RUN] = 0;
    entry.place = NOWHERE;
    if (--run.left === 0) this.#full.delete(run.number);
  }

  #runOf(place: number): Run {
    const number = Math.floor(place / RUN);
    if (number === this.#filling.number) return this.#filling;
    if (number === this.#taking.number) return this.#taking;
    return this.#full.peek(number)!;
  }

  /** Take the next idle entry out of the order; undefined when all are in use. */
  takeOldest(): Entry | undefined {
    for (let run = this.#oldestRun(); run !== undefined; run = this.#oldestRun()) {
      const slot = run.slots[run.next++];
      if (slot === 0) continue;
      const entry = this.#entries[slot]!;
      run.left--;
      entry.place = NOWHERE;
      if (entry.uses !== 0) {
        // Off the order until its last release puts it back, so that the next search need not pass it again.
        entry.flags |= UNLISTED;
      } else if (entry.marked) {
        entry.unmark();
        this.add(entry);
      } else {
        return entry;
      }
    }
    return undefined;
  }

  /** One that has something left to take. */
  #oldestRun(): Run | undefined {
    if (this.#taking.left !== 0) return this.#taking;
    this.#taking = this.#full.pop() ?? this.#filling;
    return this.#taking.left === 0 ? undefined : this.#taking;
  }
}
