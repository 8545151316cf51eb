import { performance } from 'node:perf_hooks';
import { PAGE_SIZE } from '../system/libc.js';
import type { MemoryMonitor } from '../monitor/monitor.js';
import type { Registrar } from './registrar.js';
import { type Entry, REGISTERED, WATCHED } from './registration.js';
import type { Slots } from './slots.js';
import type { Statistics } from './statistics.js';

/** Bytes that a registration pins: whole pages, also where it covers only a part of them. */
export const pinnedBytes = (entry: Entry): number => entry.pages * PAGE_SIZE;

/**
 * Registrations on their way out: out of lookup and idle. What a drain finds may be a hundred thousand of them, at tens
 * of microseconds each, so it is done in turns of the event loop. One that would take longer than a turn by itself is
 * deregistered off this thread. They count against the limits until they are gone.
 */
export class Deregistration {
  readonly #monitor: MemoryMonitor;
  readonly #registrar: Registrar;
  readonly #slots: Slots;
  readonly #statistics: Statistics;
  /** Milliseconds. */
  readonly #turnLength: number;
  /** Bytes. */
  readonly #offThreadFrom: number;
  #waiting: Entry[] = [];
  /** What the device would not let go of: tried again with every miss and flush, never forgotten. */
  #stuck: Entry[] = [];
  #turn: NodeJS.Immediate | undefined;
  /** What another thread deregisters, and what settles when it is gone or stuck. */
  readonly #leaving = new Map<Entry, Promise<void>>();
  #leavingBytes = 0;

  constructor(
    monitor: MemoryMonitor,
    registrar: Registrar,
    slots: Slots,
    statistics: Statistics,
    turnLength: number,
    offThreadFrom: number,
  ) {
    this.#monitor = monitor;
    this.#registrar = registrar;
    this.#slots = slots;
    this.#statistics = statistics;
    this.#turnLength = turnLength;
    this.#offThreadFrom = registrar.deregisterAsync === undefined ? Infinity : offThreadFrom;
  }

  /** To be let go of soon: by the next run, or in a turn of the event loop. */
  add(entry: Entry): void {
    this.#waiting.push(entry);
  }

  /** How many the device refused to let go of. */
  get stuck(): number {
    return this.#stuck.length;
  }

  /** Those of them, and of those that another thread deregisters, that pin a byte of `start` to `end` (exclusive). */
  holding(start: number, end: number): Entry[] {
    return [...this.#stuck, ...this.#leaving.keys()].filter(
      (entry) => entry.start < end && entry.end > start,
    );
  }

  /** How many another thread is deregistering. */
  get leaving(): number {
    return this.#leaving.size;
  }

  /** What those pin. */
  get leavingBytes(): number {
    return this.#leavingBytes;
  }

  /** Settles when another thread has done with one of them, at once when there is none. */
  async oneDone(): Promise<void> {
    if (this.#leaving.size !== 0) await Promise.race(this.#leaving.values());
  }

  /** Settles when it has done with all that there are now. */
  async allDone(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }

  /** Let go of all that waits. @param atOnce see {@link letGo} */
  run(atOnce = false): void {
    this.#runUntil(Infinity, atOnce);
  }

  /** Let go of one that waits; false when none does. */
  runOne(atOnce = false): boolean {
    const entry = this.#waiting.pop();
    if (entry === undefined) return false;
    this.letGo(entry, atOnce);
    return true;
  }

  /** The same as {@link run} for a few milliseconds; the event loop sees to the rest. */
  runBriefly(): void {
    if (this.#waiting.length !== 0) this.#runUntil(performance.now() + this.#turnLength, false);
  }

  #runUntil(end: number, atOnce: boolean): void {
    let now = performance.now();
    for (let entry = this.#waiting.pop(); entry !== undefined; entry = this.#waiting.pop()) {
      now = this.letGo(entry, atOnce, now);
      if (now >= end) break;
    }
    this.#keepTurns();
  }

  retryStuck(atOnce = false): void {
    const stuck = this.#stuck;
    if (stuck.length === 0) return;
    this.#stuck = [];
    for (const entry of stuck) this.letGo(entry, atOnce);
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
   * Unwatch and unpin an entry.
   * @param atOnce for whoever needs what it holds: on the spot, however long that takes
   * @param now the time, in milliseconds; to ask for it takes a while
   * @returns the time afterwards
   */
  letGo(entry: Entry, atOnce = false, now = performance.now()): number {
    // Neither waits for the other: memory must not stay pinned because its watch cannot be taken back.
    this.#tryToUnwatch(entry);
    if (!atOnce && (entry.flags & REGISTERED) !== 0 && pinnedBytes(entry) >= this.#offThreadFrom) {
      this.#leavingBytes += pinnedBytes(entry);
      // Never over before it is noted.
      this.#leaving.set(entry, this.#deregisterOffThread(entry));
      return performance.now();
    }
    this.#tryToDeregister(entry);
    const after = performance.now();
    this.#statistics.deregistrationMicroseconds += (after - now) * 1000;
    this.#finish(entry);
    return after;
  }

  /** It is gone, unless the monitor or the device would not let go of it. */
  #finish(entry: Entry): void {
    if ((entry.flags & (WATCHED | REGISTERED)) !== 0) {
      this.#stuck.push(entry);
      return;
    }
    this.#slots.free(entry);
    // Whoever still has the entry has no use for it.
    entry.region = undefined;
    entry.keeper.gone(entry);
  }

  #tryToUnwatch(entry: Entry): void {
    try {
      this.unwatch(entry);
    } catch {
      this.#statistics.deregistrationFailures++;
    }
  }

  #tryToDeregister(entry: Entry): void {
    if ((entry.flags & REGISTERED) === 0) return;
    try {
      this.#registrar.deregister(entry.region);
      this.#deregistered(entry);
    } catch {
      this.#statistics.deregistrationFailures++;
    }
  }

  async #deregisterOffThread(entry: Entry): Promise<void> {
    const before = performance.now();
    try {
      // A call that cannot even be begun rejects as well, and so later.
      await new Promise<void>((resolve) => {
        resolve(this.#registrar.deregisterAsync!(entry.region));
      });
      this.#statistics.deregistrationMicroseconds += (performance.now() - before) * 1000;
      this.#deregistered(entry);
    } catch {
      this.#statistics.deregistrationFailures++;
    }
    this.#leaving.delete(entry);
    this.#leavingBytes -= pinnedBytes(entry);
    this.#finish(entry);
  }

  #deregistered(entry: Entry): void {
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
