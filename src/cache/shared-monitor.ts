import { type LiveViews, viewerOf } from '../monitor/live-views.js';
import type { DrainSink, MemoryMonitor } from '../monitor/monitor.js';
import type { Entry } from './registration.js';
import { Slots } from './slots.js';

/** A cache, as the monitor that it shares with others sees it. */
export interface Member {
  /** Drain from the event loop too. */
  readonly eagerDrain: boolean;
  /** The mapping of a watched entry of this cache changed. Called inside the drain: it must not throw. */
  invalidated(entry: Entry): void;
  /** Everything up to this value of the counter (its halves) has been told. */
  drainedTo(low: number, high: number): void;
  /** A drain is over, whichever cache began it. */
  drained(): void;
}

/**
 * A monitor and the caches on it. Its events can be read only once, so whichever cache drains, all are told; and
 * cookies and generation words belong to the monitor, so all take their slots from here.
 */
export class SharedMonitor {
  static readonly #all = new WeakMap<MemoryMonitor, SharedMonitor>();

  readonly monitor: MemoryMonitor;
  /** Looked up once, as each miss needs it. */
  readonly views: () => LiveViews;
  readonly slots = new Slots();
  readonly #members = new Set<Member>();
  #stopPolling: (() => void) | undefined;
  #drainingFailed = false;

  private constructor(monitor: MemoryMonitor) {
    this.monitor = monitor;
    this.views = viewerOf(monitor);
  }

  static of(monitor: MemoryMonitor): SharedMonitor {
    let shared = this.#all.get(monitor);
    if (shared === undefined) this.#all.set(monitor, (shared = new SharedMonitor(monitor)));
    return shared;
  }

  join(member: Member): void {
    this.#members.add(member);
    try {
      this.#poll();
    } catch (error) {
      this.#members.delete(member);
      throw error;
    }
  }

  /** The last one to leave closes the monitor. It has taken all its watches back. May be repeated when it fails. */
  leave(member: Member): void {
    this.#members.delete(member);
    this.#poll();
    if (this.#members.size !== 0) return;
    this.monitor.close();
    SharedMonitor.#all.delete(this.monitor);
  }

  /** Read all that is pending and tell the caches. */
  drain(): void {
    this.monitor.drain(this.#sink);
    if (this.#drainingFailed) this.#pollAgain();
    for (const member of this.#members) member.drained();
  }

  readonly #sink: DrainSink = {
    invalidated: (cookie) => {
      const entry = this.slots.byCookie(cookie);
      entry?.keeper.invalidated(entry);
    },
    drainedTo: (low, high) => {
      for (const member of this.#members) member.drainedTo(low, high);
    },
  };

  /** Poll as long as a cache wants it and it works. */
  #poll(): void {
    const wanted = !this.#drainingFailed && [...this.#members].some(({ eagerDrain }) => eagerDrain);
    if (wanted === (this.#stopPolling !== undefined)) return;
    if (wanted) {
      this.#stopPolling = this.monitor.whenPending?.(() => {
        this.#drainFromEventLoop();
      });
    } else {
      this.#stopPolling!();
      this.#stopPolling = undefined;
    }
  }

  #pollAgain(): void {
    this.#drainingFailed = false;
    try {
      this.#poll();
    } catch {
      // No reason for what was drained to get lost; the next drain tries again.
      this.#drainingFailed = true;
    }
  }

  #drainFromEventLoop(): void {
    try {
      this.drain();
    } catch {
      // Thrown again, where somebody can catch it, by the next acquire; until then, do not spin.
      this.#drainingFailed = true;
      this.#poll();
    }
  }
}
