import { performance } from 'node:perf_hooks';
import { Access, REMOTE_ACCESS } from '../access.js';
import type { Location, Memory } from '../memory/locate.js';
import { pageCeil, pageFloor } from '../memory/pages.js';
import type { Deregistration } from './deregistration.js';
import { type Extent, extentOf } from './extent.js';
import type { Lookup } from './lookup.js';
import type { Making, Steps } from './making.js';
import { ATTEMPTS, frees, refusal, unstable } from './refusal.js';
import type { Registrar } from './registrar.js';
import { type Entry, servesParts, STALE, UNCACHED } from './registration.js';
import type { Statistics } from './statistics.js';

/** An acquire that waits for another thread. */
export interface Request extends Readonly<Location> {
  readonly access: number;
  /** 0, or those of a registration for one acquire. */
  readonly flags: number;
  readonly owner: Memory | undefined;
  readonly signal: AbortSignal | undefined;
  /** Whether the memory lies elsewhere by now. @throws ERR_DETACHED_BUFFER */
  moved(): boolean;
}

interface Acquire extends Extent {
  readonly request: Request;
  readonly ended: Promise<unknown>;
}

/** The mapping was changed meanwhile. */
const CHANGED: unique symbol = Symbol('changed');

/**
 * Registrations that another thread makes. The event loop goes on meanwhile, so anything may have happened to the memory
 * and the cache when a call is over. Until then a registration is watched and in no table, and counts against the limits.
 */
export class Pending {
  readonly #steps: Steps;
  readonly #making: Making;
  readonly #registrar: Registrar;
  readonly #lookup: Lookup;
  readonly #deregistration: Deregistration;
  readonly #statistics: Statistics;
  readonly #acquires = new Set<Acquire>();
  #registrations = 0;
  #bytes = 0;

  constructor(
    steps: Steps,
    making: Making,
    registrar: Registrar,
    lookup: Lookup,
    deregistration: Deregistration,
    statistics: Statistics,
  ) {
    this.#steps = steps;
    this.#making = making;
    this.#registrar = registrar;
    this.#lookup = lookup;
    this.#deregistration = deregistration;
    this.#statistics = statistics;
  }

  /** How many acquires have not ended. */
  get acquires(): number {
    return this.#acquires.size;
  }

  /** What is about to be registered, and is in no statistics. */
  get registrations(): number {
    return this.#registrations;
  }

  /** What that pins. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Settles when all acquires that there are now have ended. */
  async ended(): Promise<void> {
    await Promise.all([...this.#acquires].map(({ ended }) => ended));
  }

  /**
   * Make a registration.
   * @returns it, in use; nothing when it is time to look again: another one serves the request, this one was
   *   invalidated, or the memory lies elsewhere
   * @throws what an acquire throws, or the signal's reason
   */
  async make(request: Request): Promise<Entry | undefined> {
    const extent = extentOf(request.address, request.length, request.access);
    const other = this.#oneThatServes(extent, request);
    if (other !== undefined) {
      // Whatever comes of it. To pin the same pages twice would count twice against the limit of locked memory.
      await other.ended;
      return undefined;
    }
    const made = this.#make(extent, request).finally(() => this.#acquires.delete(acquire));
    const acquire: Acquire = { ...extent, request, ended: made.catch(() => undefined) };
    this.#acquires.add(acquire);
    try {
      return await made;
    } catch (error) {
      // That the memory has gone explains all other errors.
      if (request.moved()) return undefined;
      throw error;
    }
  }

  /** One that is being made and will do for a request, too. */
  #oneThatServes({ start, end }: Extent, { access, flags }: Request): Acquire | undefined {
    if ((flags & UNCACHED) !== 0) return undefined;
    const exactly = (access & REMOTE_ACCESS) !== 0;
    for (const acquire of this.#acquires) {
      const { request } = acquire;
      if (request.access !== access || (request.flags & UNCACHED) !== 0 || isAborted(request)) continue;
      const serves = exactly
        ? acquire.start === start && acquire.end === end
        : acquire.start <= start && acquire.end >= end;
      if (serves) return acquire;
    }
    return undefined;
  }

  async #make(extent: Extent, request: Request): Promise<Entry | undefined> {
    this.#deregistration.retryStuck();
    const merged = servesParts(request.access, request.flags)
      ? this.#steps.mergeable(extent.start, extent.end, request.access)
      : undefined;
    if (merged !== undefined) {
      // If they cannot be had together, the neighbours stay as they are, and what was asked for is tried alone.
      const made = await this.#tryMake(merged, request, true).catch((): typeof CHANGED => CHANGED);
      if (made !== CHANGED) return made;
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const made = await this.#tryMake(extent, request, false);
      if (made !== CHANGED) return made;
    }
    throw unstable(request.address, request.length);
  }

  async #tryMake(
    { start, end }: Extent,
    request: Request,
    merge: boolean,
  ): Promise<Entry | undefined | typeof CHANGED> {
    this.#requireWanted(request);
    const steps = this.#steps;
    const making = this.#making;
    const { access, flags, owner } = request;
    const first = pageFloor(start);
    const bytes = pageCeil(end) - first;
    await this.#prefault(first, bytes, (access & Access.LOCAL_WRITE) !== 0);
    this.#requireWanted(request);
    if (servesParts(access, flags) && !merge) steps.replaceIdleWithin(start, end, access, false);
    while (steps.lacksRoom(bytes) && (await this.#giveUpOne())) this.#requireWanted(request);
    const entry = await this.#register(start, end, access, bytes);
    // From here to its start nobody else has a say: a change that comes later finds it in its table.
    if (!this.#isWanted(entry, request)) return undefined;
    if (!making.confirm(entry, flags, false)) return (entry.flags & STALE) === 0 ? undefined : CHANGED;
    if ((flags & UNCACHED) === 0 && this.#lookup.find(start, end, access) !== undefined) {
      // An acquire on the spot was faster. None may contain another.
      making.doom(entry, false);
      return undefined;
    }
    if (merge) {
      if ((entry.flags & UNCACHED) !== 0) {
        // Part of it cannot be watched, and would make all of it a registration for one acquire.
        making.doom(entry, false);
        return CHANGED;
      }
      steps.replaceIdleWithin(start, end, access, false);
      this.#statistics.merges++;
    }
    this.#lookup.made(entry);
    steps.start(entry, owner);
    return entry;
  }

  async #prefault(start: number, length: number, write: boolean): Promise<void> {
    const registrar = this.#registrar;
    if (registrar.prefaultAsync) await registrar.prefaultAsync(start, length, write);
    else registrar.prefault?.(start, length, write);
  }

  /** A watched and pinned entry, which nobody finds yet but who invalidates it. */
  async #register(start: number, end: number, access: number, bytes: number): Promise<Entry> {
    const making = this.#making;
    this.#registrations++;
    this.#bytes += bytes;
    try {
      // Watch first, then register: a change between the two would otherwise go unseen for ever.
      const entry = making.watch(start, end, access);
      // An invalidation must find it.
      this.#lookup.insert(entry);
      try {
        const since = performance.now();
        const region = await this.#untilRoom(() =>
          this.#registrar.registerAsync!(start, end - start, access),
        );
        making.registered(entry, region, since);
        return entry;
      } catch (error) {
        making.doom(entry, false);
        throw refusal(error, start, end, this.#statistics);
      }
    } finally {
      this.#registrations--;
      this.#bytes -= bytes;
    }
  }

  /** Try; as long as it fails for want of something that idle registrations hold, give one up and try again. */
  async #untilRoom<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        this.#statistics.registrationFailures++;
        if (!frees(error) || !(await this.#giveUpOne())) throw error;
      }
    }
  }

  /** Wait for what is on its way out, or else let the oldest idle registration go; false when there is none. */
  async #giveUpOne(): Promise<boolean> {
    if (this.#deregistration.leaving === 0 && !this.#steps.giveUpOne(false)) return false;
    await this.#deregistration.oneDone();
    return true;
  }

  /** @throws ERR_CLOSED, or the signal's reason */
  #requireWanted({ signal }: Request): void {
    signal?.throwIfAborted();
    this.#steps.requireOpen();
  }

  /** The same when there is an entry, which is let go of unless it is of use where the memory is now. */
  #isWanted(entry: Entry, request: Request): boolean {
    try {
      this.#requireWanted(request);
      if (!request.moved()) return true;
    } catch (error) {
      this.#making.doom(entry, false);
      throw error;
    }
    this.#making.doom(entry, false);
    return false;
  }
}

const isAborted = ({ signal }: Request): boolean => signal?.aborted === true;
