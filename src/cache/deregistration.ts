import { pageCeil, pageFloor } from '../memory/pages.js';
import type { MemoryMonitor } from '../monitor/monitor.js';
import type { Registrar } from './registrar.js';
import { type Entry, REGISTERED, WATCHED } from './registration.js';
import type { Slots } from './slots.js';
import type { Statistics } from './statistics.js';

/** Bytes that a registration pins: whole pages, also where it covers only a part of them. */
export const pinnedBytes = (entry: Entry): number => pageCeil(entry.end) - pageFloor(entry.start);

/**
 * Registrations on their way out: out of lookup and idle. What a drain finds may be a hundred thousand of them, at tens
 * of microseconds each, so it is done in turns of the event loop. They count against the limits until they are gone.
 */
export class Deregistration {
  readonly #monitor: MemoryMonitor;
  readonly #registrar: Registrar;
  readonly #slots: Slots;
  readonly #statistics: Statistics;
  /** Milliseconds. */
  readonly #turnLength: number;
  #waiting: Entry[] = [];
  /** What the device would not let go of: tried again with every miss and flush, never forgotten. */
  #stuck: Entry[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor(
    monitor: MemoryMonitor,
    registrar: Registrar,
    slots: Slots,
    statistics: Statistics,
    turnLength: number,
  ) {
    this.#monitor = monitor;
    this.#registrar = registrar;
    this.#slots = slots;
    this.#statistics = statistics;
    this.#turnLength = turnLength;
  }

  /** To be let go of soon: by the next run, or in a turn of the event loop. */
  add(entry: Entry): void {
    this.#waiting.push(entry);
  }

  /** How many the device refused to let go of. */
  get stuck(): number {
    return this.#stuck.length;
  }

  /** Those of them that pin a byte of `start` to `end` (exclusive). */
  stuckIn(start: number, end: number): Entry[] {
    return this.#stuck.filter((entry) => entry.start < end && entry.end > start);
  }

  /** Unwatch and unpin all that waits. */
  run(): void {
    this.#runUntil(Infinity);
  }

  /** Let go of one that waits; false when none does. */
  runOne(): boolean {
    const entry = this.#waiting.pop();
    if (entry === undefined) return false;
    this.letGo(entry);
    return true;
  }

  /** The same as {@link run} for a few milliseconds; the event loop sees to the rest. */
  runBriefly(): void {
    if (this.#waiting.length !== 0) this.#runUntil(performance.now() + this.#turnLength);
  }

  #runUntil(end: number): void {
    let now = performance.now();
    for (let entry = this.#waiting.pop(); entry !== undefined; entry = this.#waiting.pop()) {
      now = this.letGo(entry, now);
      if (now >= end) break;
    }
    this.#keepTurns();
  }

  retryStuck(): void {
    const stuck = this.#stuck;
    if (stuck.length === 0) return;
    this.#stuck = [];
    for (const entry of stuck) this.letGo(entry);
  }

  #keepTurns(): void {
    if (this.#waiting.length === 0) {
      clearImmediate(this.#turn);
      this.#turn = undefined;
    } else {
      this.#turn ??= setImmediate(() => {
        this.#turn = undefined;
        this.runBriefly();
      }).unref();
    }
  }

  /**
   * Unwatch and unpin an entry at once.
   * @param now the time, in milliseconds; to ask for it takes a while
   * @returns the time afterwards
   */
  letGo(entry: Entry, now = performance.now()): number {
    // Neither waits for the other: memory must not stay pinned because its watch cannot be taken back.
    const unwatched = this.#tryToUnwatch(entry);
    const deregistered = this.#tryToDeregister(entry);
    const after = performance.now();
    this.#statistics.deregistrationMicroseconds += (after - now) * 1000;
    if (unwatched && deregistered) {
      this.#slots.free(entry);
      // Whoever still has the entry has no use for it.
      entry.region = undefined;
      entry.keeper.gone(entry);
    } else this.#stuck.push(entry);
    return after;
  }

  #tryToUnwatch(entry: Entry): boolean {
    try {
      this.unwatch(entry);
      return true;
    } catch {
      this.#statistics.deregistrationFailures++;
      return false;
    }
  }

  #tryToDeregister(entry: Entry): boolean {
    try {
      this.#deregister(entry);
      return true;
    } catch {
      this.#statistics.deregistrationFailures++;
      return false;
    }
  }

  #deregister(entry: Entry): void {
    if ((entry.flags & REGISTERED) === 0) return;
    this.#registrar.deregister(entry.region);
    entry.flags &= ~REGISTERED;
    this.#statistics.deregistrations++;
    this.#statistics.registered--;
    this.#statistics.pinnedBytes -= pinnedBytes(entry);
  }

  /** Take the watch back. It stays a watch when that fails. */
  unwatch(entry: Entry): void {
    if ((entry.flags & WATCHED) === 0) return;
    this.#monitor.unwatch(this.#slots.cookieOf(entry));
    entry.flags &= ~WATCHED;
  }
}
