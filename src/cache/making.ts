import { performance } from 'node:perf_hooks';
import { Access } from '../access.js';
import type { Memory } from '../memory/locate.js';
import { pageCeil, pageFloor } from '../memory/pages.js';
import { type Deregistration, pinnedBytes } from './deregistration.js';
import { type Extent, extentOf } from './extent.js';
import { loadWord } from './hit.js';
import type { Lookup } from './lookup.js';
import type { PageCheck } from './page-check.js';
import { ATTEMPTS, frees, lacksPages, refusal, unstable } from './refusal.js';
import type { Registrar } from './registrar.js';
import {
  type Entry,
  type Keeper,
  NOT_KEPT,
  PENDING,
  REGISTERED,
  RETIRED,
  servesParts,
  STALE,
  UNCACHED,
  WATCHED,
} from './registration.js';
import type { SharedMonitor } from './shared-monitor.js';
import type { Statistics } from './statistics.js';

/** The steps of making a registration that the cache itself takes. `atOnce` is as for {@link Deregistration.letGo}. */
export interface Steps {
  /** @throws ERR_CLOSED */
  requireOpen(): void;
  /** More than these bytes, if they are to be registered together with idle registrations next to them. */
  mergeable(start: number, end: number, access: number): Extent | undefined;
  /** Idle registrations that a new one contains, and grants all that they grant, make way for it. */
  replaceIdleWithin(start: number, end: number, access: number, atOnce: boolean): void;
  /** Whether a limit does not allow another registration that pins so many bytes. */
  lacksRoom(bytes: number): boolean;
  /** Let go of one that is on its way out, or else of the oldest idle one; false when there is none. */
  giveUpOne(atOnce: boolean): boolean;
  /** Take in what the monitor has to report, if there is anything. */
  drainIfMoved(): void;
  /** What was made is in use, by `owner`, and is found from now on unless it is for one acquire. */
  start(entry: Entry, owner: Memory | undefined): void;
}

/**
 * How a registration is made that pins what its addresses map to: all of it on the spot, and the steps of it that are
 * the same when another thread registers.
 */
export class Making {
  readonly #keeper: Keeper;
  readonly #steps: Steps;
  readonly #shared: SharedMonitor;
  readonly #registrar: Registrar;
  readonly #lookup: Lookup;
  readonly #deregistration: Deregistration;
  readonly #statistics: Statistics;
  readonly #check: PageCheck | undefined;

  constructor(
    keeper: Keeper,
    steps: Steps,
    shared: SharedMonitor,
    registrar: Registrar,
    lookup: Lookup,
    deregistration: Deregistration,
    statistics: Statistics,
    check: PageCheck | undefined,
  ) {
    this.#keeper = keeper;
    this.#steps = steps;
    this.#shared = shared;
    this.#registrar = registrar;
    this.#lookup = lookup;
    this.#deregistration = deregistration;
    this.#statistics = statistics;
    this.#check = check;
  }

  /**
   * Make a registration on the spot.
   * @param flags set from the start: 0, or those of a registration for one acquire
   * @returns it, in use
   * @throws what an acquire throws
   */
  make(address: number, length: number, access: number, owner: Memory | undefined, flags: number): Entry {
    const parts = servesParts(access, flags);
    const { start, end } = extentOf(address, length, access);
    this.#deregistration.retryStuck();
    if (parts) {
      const merged = this.#makeMerged(start, end, access, owner);
      if (merged !== undefined) return merged;
    }
    // To see that all pages are in place takes longer than to pin them, and nearly always they are. The device refuses
    // what it could not write to, and where a page is copied first, the mapping changes and there is another attempt.
    // Not so where idle ones within it would make way in vain, and where it is only read: there the device may take what
    // it should not (FOLL_FORCE of ib_umem_get, Linux 6.1). A full cache makes room for memory that may turn out not to be
    // there: the idle one that goes in vain costs another miss, less than to look first at each miss of a full cache.
    const write = (access & Access.LOCAL_WRITE) !== 0;
    const replaces = parts && this.#lookup.within(start, end, access).length > 0;
    let lookFirst = !write || replaces;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (lookFirst) this.#prefault(start, end, write);
      if (replaces) this.#steps.replaceIdleWithin(start, end, access, true);
      let entry: Entry | undefined;
      try {
        entry = this.#tryMake(start, end, access, flags);
      } catch (error) {
        if (lookFirst || attempt !== 0) throw error;
        // If it is for the memory's sake, this says so.
        this.#prefault(start, end, write);
        if (!lacksPages(error)) throw error;
        // They are there by now: another thread has mapped them, say, or they come from a userfaultfd, which pinning
        // does not wait for everywhere (__gup_longterm_unlocked, Linux 6.1).
        continue;
      }
      lookFirst = true;
      if (entry === undefined) continue;
      this.#steps.start(entry, owner);
      return entry;
    }
    throw unstable(address, length);
  }

  /** One registration for all that can be merged; nothing when there is no such, or when it cannot be had together. */
  #makeMerged(start: number, end: number, access: number, owner: Memory | undefined): Entry | undefined {
    const merged = this.#steps.mergeable(start, end, access);
    if (merged === undefined) return undefined;
    const { start: first, end: last } = merged;
    let entry: Entry | undefined;
    try {
      this.#prefault(first, last, (access & Access.LOCAL_WRITE) !== 0);
      entry = this.#tryMake(first, last, access, 0);
    } catch {
      // The neighbours stay as they are, and what was asked for is tried alone.
      return undefined;
    }
    if (entry === undefined) return undefined;
    if ((entry.flags & UNCACHED) !== 0) {
      // Part of it cannot be watched, and would make all of it a registration for one acquire.
      this.doom(entry, true);
      return undefined;
    }
    this.#steps.replaceIdleWithin(first, last, access, true);
    this.#statistics.merges++;
    this.#steps.start(entry, owner);
    return entry;
  }

  /** Make room and register; nothing when the mapping changed meanwhile. */
  #tryMake(start: number, end: number, access: number, flags: number): Entry | undefined {
    const bytes = pageCeil(end) - pageFloor(start);
    while (this.#steps.lacksRoom(bytes) && this.#steps.giveUpOne(true));
    const entry = this.#register(start, end, access);
    return this.confirm(entry, flags, true) ? entry : undefined;
  }

  #prefault(start: number, end: number, write: boolean): void {
    const first = pageFloor(start);
    this.#registrar.prefault?.(first, pageCeil(end) - first, write);
  }

  /** A watched and pinned entry, in no table yet. */
  #register(start: number, end: number, access: number): Entry {
    // Watch first, then register: a change between the two would otherwise go unseen for ever.
    const entry = this.watch(start, end, access);
    try {
      const before = performance.now();
      this.registered(entry, this.#tryToPin(start, end - start, access), before);
    } catch (error) {
      this.doom(entry, true);
      throw refusal(error, start, end, this.#statistics);
    }
    return entry;
  }

  /** A watched entry, in no table yet. */
  watch(start: number, end: number, access: number): Entry {
    const { slots, views } = this.#shared;
    const entry = slots.create(this.#keeper, start, end, access);
    // Before the watch: a hit from its first moment on has changed the word then.
    slots.words[entry.slot] = loadWord(views().generations, entry.slot);
    try {
      // What nobody watches is right for the acquire that it is made for, and for no later one.
      const watched = this.#tryToWatch(entry, pageFloor(start), pageCeil(end));
      entry.flags |= watched ? WATCHED : UNCACHED | NOT_KEPT;
    } catch (error) {
      this.doom(entry, true);
      throw refusal(error, start, end, this.#statistics);
    }
    return entry;
  }

  // Try; as long as it fails for want of something that idle registrations hold, give one up and try again. Twice, and
  // not once for any attempt, as each miss would make a function for that.

  #tryToPin(start: number, length: number, access: number): unknown {
    for (;;) {
      try {
        return this.#registrar.register(start, length, access);
      } catch (error) {
        if (!this.#hasMadeRoom(error)) throw error;
      }
    }
  }

  #tryToWatch(entry: Entry, start: number, end: number): boolean {
    const { monitor, slots } = this.#shared;
    for (;;) {
      try {
        return monitor.watch(start, end, slots.cookieOf(entry), entry.slot);
      } catch (error) {
        if (!this.#hasMadeRoom(error)) throw error;
      }
    }
  }

  #hasMadeRoom(error: unknown): boolean {
    this.#statistics.registrationFailures++;
    return frees(error) && this.#steps.giveUpOne(true);
  }

  /**
   * A watched entry is pinned.
   * @param since when the call began, in milliseconds as performance.now() tells
   */
  registered(entry: Entry, region: unknown, since: number): void {
    entry.region = region;
    entry.flags |= REGISTERED;
    this.#statistics.registrationMicroseconds += (performance.now() - since) * 1000;
    this.#statistics.registrations++;
    this.#statistics.registered++;
    this.#statistics.pinnedBytes += pinnedBytes(entry);
    entry.setKeys(this.#registrar.lkey(region), this.#registrar.rkey(region));
  }

  /**
   * Whether an entry that was made pins what is mapped now, and nobody has invalidated it; otherwise it is let go of.
   * @param flags to be set in that case
   * @param atOnce as for {@link Deregistration.letGo}
   */
  confirm(entry: Entry, flags: number, atOnce: boolean): boolean {
    // The watch was there before the pages were pinned: a mapping that changed since then has been reported.
    try {
      this.#steps.drainIfMoved();
      if ((entry.flags & (STALE | RETIRED)) === 0) this.#check?.remember(entry);
    } catch (error) {
      this.doom(entry, atOnce);
      throw error;
    }
    if ((entry.flags & (STALE | RETIRED)) === 0) {
      entry.flags = (entry.flags & ~PENDING) | flags;
      return true;
    }
    if ((entry.flags & STALE) !== 0) this.#statistics.unstable++;
    this.doom(entry, atOnce);
    return false;
  }

  /**
   * Let go of an entry that never was found; it may be watched, or registered, or neither.
   * @param atOnce as for {@link Deregistration.letGo}
   */
  doom(entry: Entry, atOnce: boolean): void {
    entry.flags = (entry.flags | RETIRED) & ~PENDING;
    this.#deregistration.letGo(entry, atOnce);
  }
}
