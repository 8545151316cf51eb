import { EventEmitter } from 'node:events';
import { Access, checkAccess, describeAccess, REMOTE_ACCESS } from '../access.js';
import { regcacheError } from '../errors.js';
import { checkRange, isRange, locate, type Location, type Memory } from '../memory/locate.js';
import { pageCeil, pageFloor } from '../memory/pages.js';
import { given, type MonitorChoice } from '../monitor/choice.js';
import type { MemoryMonitor } from '../monitor/monitor.js';
import { aborted } from './aborted.js';
import type { Coverage } from './coverage.js';
import { Deregistration, pinnedBytes } from './deregistration.js';
import { CHANNELS, type CacheEvents, type RegistrationInfo, type RetireReason } from './events.js';
import { EvictionOrder } from './eviction-order.js';
import { Handle } from './handle.js';
import { lastOf, remember } from './last-registration.js';
import { Lookup } from './lookup.js';
import { type CacheOptions, type ChangeableLimits, checkLimits, checkOptions } from './options.js';
import { PageCheck } from './page-check.js';
import { frees, refusal } from './refusal.js';
import type { Registrar } from './registrar.js';
import {
  type Entry,
  type Keeper,
  MARKED,
  NOT_KEPT,
  PENDING,
  REGISTERED,
  type Registration,
  RETIRED,
  STALE,
  UNCACHED,
  UNLISTED,
  WATCHED,
} from './registration.js';
import { type Member, SharedMonitor } from './shared-monitor.js';
import type { Slots } from './slots.js';
import { noStatistics, type SizeClass, sizeClasses, type Statistics } from './statistics.js';

/** How often a registration is made anew when its mapping changes meanwhile. */
const ATTEMPTS = 8;

/** On x86-64 loads are not reordered with loads; elsewhere the counter must be read with an acquiring load. */
const ORDERED_LOADS = process.arch === 'x64';

/** Compared instead of the counter to send every acquire the slow way; what a cache remembers is 0 then. */
const MOVED = Int32Array.of(1, 0);

/** Rights that make no sense for a cache: it pins whole pages at their own addresses. */
const UNCACHEABLE_ACCESS = Access.ZERO_BASED | Access.ON_DEMAND | Access.HUGETLB;

function checkCachedAccess(access: number): void {
  checkAccess(access);
  if ((access & UNCACHEABLE_ACCESS) === 0) return;
  throw regcacheError(
    'ERR_INVALID_ACCESS',
    `${describeAccess(access)}: a cache pins memory at its own addresses`,
  );
}

/** Memory as an object, or a raw range of bytes, which the caller keeps mapped. */
export type Target = Memory | { readonly address: number; readonly length: number };

/** What can be waited for may take long: another part of the program decides when. */
export interface WaitOptions {
  /** Gives up waiting; what was asked for stays asked for. */
  signal?: AbortSignal;
}

/**
 * Registrations of one protection domain, kept for reuse and checked against the kernel's word before each use.
 *
 * The promise: what `acquire` returns covers the memory and pins the pages that its addresses map to now, whatever
 * unmapped or remapped them before. When nothing was invalidated that costs a load of the monitor's counter and a
 * table look-up.
 */
export class RegistrationCache extends EventEmitter<CacheEvents> implements Keeper, Member {
  readonly #shared: SharedMonitor;
  readonly #registrar: Registrar;
  readonly #deregistration: Deregistration;
  readonly #keepRemote: boolean;
  readonly #merge: boolean;
  readonly #check: PageCheck | undefined;
  readonly eagerDrain: boolean;
  /** Which monitor this cache is on, and why not a better one. */
  readonly monitorChoice: MonitorChoice;
  #maxRegistrations: number;
  #maxPinnedBytes: number;

  /** What the hit path compares with the counter: the drained value, in halves as the view shows it. */
  #drainedLow = 0;
  #drainedHigh = 0;
  #counter: Int32Array;
  /** A word for each slot that changes when its registration is hit, if the monitor has them. */
  #generations: Int32Array | undefined;
  /** The counter's value up to which everything has been drained. */
  #toldLow = 0;
  #toldHigh = 0;

  #state: 'open' | 'ending' | 'closed' = 'open';
  #bypass = false;
  readonly #slots: Slots;
  readonly #lookup: Lookup;
  /** Part of the lookup, at hand. */
  readonly #writable: Coverage;
  readonly #order: EvictionOrder;
  readonly #statistics = noStatistics();
  /** Counted apart, as a hit has time for one count only. */
  #hits = 0;
  /** How often each is pinned. */
  readonly #pins = new Map<Entry, number>();
  /** Who waits for the end of which. */
  readonly #awaited = new Map<Entry, (() => void)[]>();
  readonly #here: Location = { address: 0, length: 0 };

  constructor(options: CacheOptions) {
    super();
    const checked = checkOptions(options);
    this.#shared = SharedMonitor.of(checked.monitor);
    this.#registrar = checked.registrar;
    const { monitor, slots } = this.#shared;
    this.#deregistration = new Deregistration(
      monitor,
      this.#registrar,
      slots,
      this.#statistics,
      checked.deregisterFor,
    );
    this.#slots = slots;
    this.#order = new EvictionOrder(slots.entries);
    this.#lookup = new Lookup(slots);
    this.#writable = this.#lookup.writable;
    this.#maxRegistrations = checked.maxRegistrations;
    this.#maxPinnedBytes = checked.maxPinnedBytes;
    this.#keepRemote = checked.keepRemote;
    this.#merge = checked.merge;
    this.#check = checked.witness && new PageCheck(checked.witness);
    this.eagerDrain = checked.eagerDrain;
    this.monitorChoice = checked.monitorChoice ?? given(checked.monitor);
    this.#counter = monitor.counter;
    this.#generations = monitor.generations;
    this.#chooseWay();
    this.#shared.join(this);
  }

  /**
   * A registration of the memory, to be released once.
   * @param access bits of Access: LOCAL_WRITE unless told otherwise, NONE for memory that is only read. With remote
   *   rights it covers exactly these bytes and, unless the cache keeps remote registrations, ends at the last release.
   * @throws ERR_NOT_MEMORY, ERR_DETACHED_BUFFER, ERR_INVALID_LENGTH, ERR_INVALID_ACCESS, ERR_NOT_MAPPED,
   *   ERR_READ_ONLY_MEMORY, ERR_REGISTRATION_FAILED, ERR_MEMLOCK_LIMIT, ERR_MAPPING_UNSTABLE, ERR_CLOSED
   */
  acquire(memory: Memory, access: number = Access.LOCAL_WRITE): Registration {
    const last = lastOf(memory);
    // One that is not retired covers what it covered, and an object without bytes is not what it was.
    if (
      last !== undefined &&
      last.keeper === this &&
      (last.flags & RETIRED) === 0 &&
      access === Access.LOCAL_WRITE &&
      (memory as ArrayBuffer).byteLength !== 0 &&
      this.#isCurrent(last)
    ) {
      this.#hits++;
      last.use(memory);
      return last;
    }
    return this.#acquireLocated(memory, access);
  }

  #acquireLocated(memory: Memory, access: number): Entry | Handle {
    locate(memory, this.#here);
    const { address, length } = this.#here;
    if (access === Access.LOCAL_WRITE) {
      const entry = this.#writable.find(address, address + length);
      if (entry !== undefined && this.#isCurrent(entry)) {
        this.#hits++;
        entry.use(memory);
        remember(memory, entry);
        return entry;
      }
    }
    return this.#acquireSlowly(address, length, access, memory);
  }

  /**
   * The same for a raw address. Unsafe in so far as nothing keeps the memory mapped: the caller must, until the release.
   * @param address first byte
   * @param length bytes
   * @throws ERR_INVALID_ADDRESS and what {@link acquire} throws
   */
  acquireRange(address: number, length: number, access: number = Access.LOCAL_WRITE): Registration {
    if (access === Access.LOCAL_WRITE && isRange(address, length)) {
      const entry = this.#writable.find(address, address + length);
      if (entry !== undefined && this.#isCurrent(entry)) {
        this.#hits++;
        entry.use(undefined);
        return entry;
      }
    }
    checkRange(address, length);
    return this.#acquireSlowly(address, length, access, undefined);
  }

  /** Whether the monitor has nothing new to report of an entry. Never true while acquires go the slow way. */
  #isCurrent(entry: Entry): boolean {
    const counter = this.#counter;
    // Low half first: the counter only rises, so a pair equal to the drained value was the value at the first load.
    const low = ORDERED_LOADS ? counter[0] : Atomics.load(counter, 0);
    const high = ORDERED_LOADS ? counter[1] : Atomics.load(counter, 1);
    if (low === this.#drainedLow && high === this.#drainedHigh) return true;
    // Something was hit, but not this: its word, loaded after the counter, is the one it was watched with.
    const { slot } = entry;
    return generationOf(this.#generations, slot) === this.#slots.words[slot];
  }

  #acquireSlowly(address: number, length: number, access: number, owner: Memory | undefined): Entry | Handle {
    this.#requireOpen();
    checkCachedAccess(access);
    this.#drainIfMoved();
    if (this.#bypass) return this.#acquireOnce(address, length, access, owner);
    const found = this.#lookup.find(address, address + length, access);
    if (found !== undefined) {
      this.#check?.verify(found);
      this.#hits++;
      found.use(owner);
      return this.#handOut(found);
    }
    return this.#handOut(this.#make(address, length, access, owner, 0));
  }

  /** In checking mode each acquire has an object of its own, so that one too many is found where it is. */
  #handOut(entry: Entry): Entry | Handle {
    return this.#check === undefined ? entry : new Handle(entry);
  }

  /**
   * A registration for this once: not looked up, not kept, deregistered when it is released.
   * @throws what {@link acquire} and {@link acquireRange} throw
   */
  acquireUncached(target: Target, access: number = Access.LOCAL_WRITE): Registration {
    const { address, length } = this.#locate(target);
    this.#requireOpen();
    checkCachedAccess(access);
    this.#drainIfMoved();
    return this.#acquireOnce(address, length, access, ownerOf(target));
  }

  #acquireOnce(address: number, length: number, access: number, owner: Memory | undefined): Entry | Handle {
    return this.#handOut(this.#make(address, length, access, owner, UNCACHED | NOT_KEPT));
  }

  /**
   * Acquire for long: neither limits nor {@link flush} take it away until its release. Should its mapping change, it is
   * stale all the same.
   * @throws what {@link acquire} and {@link acquireRange} throw
   */
  pin(target: Target, access: number = Access.LOCAL_WRITE): Registration {
    const { address, length } = this.#locate(target);
    const registration = this.#acquireSlowly(address, length, access, ownerOf(target));
    const entry = registration instanceof Handle ? registration.entry : registration;
    this.#pins.set(entry, (this.#pins.get(entry) ?? 0) + 1);
    return new Handle(entry, () => {
      const left = this.#pins.get(entry)! - 1;
      if (left === 0) this.#pins.delete(entry);
      else this.#pins.set(entry, left);
    });
  }

  #locate(target: Target): Location {
    if (isRaw(target)) {
      checkRange(target.address, target.length);
      return { address: target.address, length: target.length };
    }
    locate(target, this.#here);
    return { ...this.#here };
  }

  /** @param flags set from the start: 0, or those of a registration for one acquire */
  #make(address: number, length: number, access: number, owner: Memory | undefined, flags: number): Entry {
    // A peer must not see the neighbours in the same page; a local request may well share the page with the next one.
    const remote = (access & REMOTE_ACCESS) !== 0;
    const listed = !remote && (flags & UNCACHED) === 0;
    const start = remote ? address : pageFloor(address);
    const end = remote ? address + length : pageCeil(address + length);
    this.#deregistration.retryStuck();
    if (this.#merge && listed) {
      const merged = this.#makeMerged(start, end, access, owner);
      if (merged !== undefined) return merged;
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      this.#prefault(start, end, (access & Access.LOCAL_WRITE) !== 0);
      if (listed) this.#replaceIdleWithin(start, end, access);
      const entry = this.#tryMake(start, end, access, flags);
      if (entry === undefined) continue;
      this.#start(entry, owner);
      return entry;
    }
    throw regcacheError(
      'ERR_MAPPING_UNSTABLE',
      `the memory was remapped during each of ${ATTEMPTS} attempts to register it; ` +
        'stop the other threads from changing its mapping while it is acquired',
      { address, length },
    );
  }

  /**
   * One registration for these pages and the idle ones that overlap or adjoin them; nothing when there are none, or when
   * they cannot be had together.
   */
  #makeMerged(start: number, end: number, access: number, owner: Memory | undefined): Entry | undefined {
    const idle = this.#lookup.sharing(start - 1, end + 1, access).filter((entry) => entry.uses === 0);
    const first = idle.reduce((least, entry) => Math.min(least, entry.start), start);
    const last = idle.reduce((most, entry) => Math.max(most, entry.end), end);
    if ((first === start && last === end) || last - first > this.#maxPinnedBytes) return undefined;
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
      this.#doom(entry);
      return undefined;
    }
    this.#replaceIdleWithin(first, last, access);
    this.#statistics.merges++;
    this.#start(entry, owner);
    return entry;
  }

  /** Make room and register; nothing when the mapping changed meanwhile. */
  #tryMake(start: number, end: number, access: number, flags: number): Entry | undefined {
    this.#makeRoom(pageCeil(end) - pageFloor(start));
    const entry = this.#register(start, end, access);
    // The watch was there before the pages were pinned: a mapping that changed since then has been reported.
    try {
      this.#drainIfMoved();
      if ((entry.flags & STALE) === 0) this.#check?.remember(entry);
    } catch (error) {
      this.#doom(entry);
      throw error;
    }
    if ((entry.flags & STALE) === 0) {
      entry.flags = (entry.flags & ~PENDING) | flags;
      return entry;
    }
    this.#statistics.unstable++;
    this.#doom(entry);
    return undefined;
  }

  #start(entry: Entry, owner: Memory | undefined): void {
    if ((entry.flags & UNCACHED) === 0) this.#statistics.misses++;
    else this.#statistics.uncached++;
    entry.use(owner);
    entry.flags &= ~MARKED;
    this.#insert(entry);
    this.#tellOf('register', entry);
  }

  #prefault(start: number, end: number, write: boolean): void {
    const first = pageFloor(start);
    this.#registrar.prefault?.(first, pageCeil(end) - first, write);
  }

  /** A watched and pinned entry, in no table yet. */
  #register(start: number, end: number, access: number): Entry {
    const { monitor, slots } = this.#shared;
    const entry = slots.create(this, start, end, access);
    // Before the watch: a hit from its first moment on has changed the word then.
    slots.words[entry.slot] = generationOf(monitor.generations, entry.slot);
    try {
      // Watch first, then register: a change between the two would otherwise go unseen for ever.
      const watched = this.#untilRoom(() =>
        monitor.watch(pageFloor(start), pageCeil(end), slots.cookieOf(entry), entry.slot),
      );
      // What nobody watches is right for the acquire that it is made for, and for no later one.
      entry.flags |= watched ? WATCHED : UNCACHED | NOT_KEPT;
      const before = performance.now();
      entry.region = this.#untilRoom(() => this.#registrar.register(start, end - start, access));
      entry.flags |= REGISTERED;
      this.#statistics.registrationMicroseconds += (performance.now() - before) * 1000;
      this.#statistics.registrations++;
      this.#statistics.registered++;
      this.#statistics.pinnedBytes += pinnedBytes(entry);
      entry.setKeys(this.#registrar.lkey(entry.region), this.#registrar.rkey(entry.region));
    } catch (error) {
      this.#doom(entry);
      throw refusal(error, start, end, this.#statistics);
    }
    return entry;
  }

  /** Try; as long as it fails for want of something that idle registrations hold, give one up and try again. */
  #untilRoom<T>(attempt: () => T): T {
    for (;;) {
      try {
        return attempt();
      } catch (error) {
        this.#statistics.registrationFailures++;
        if (!frees(error) || !this.#giveUpOne()) throw error;
      }
    }
  }

  #insert(entry: Entry): void {
    if ((entry.access & REMOTE_ACCESS) === 0 && (entry.flags & UNCACHED) === 0) {
      // Those still in use: out of lookup, deregistered at their last release.
      for (const contained of this.#lookup.within(entry.start, entry.end, entry.access))
        if (contained.access === entry.access) this.#retire(contained, 'replaced');
    }
    this.#lookup.insert(entry);
    if ((entry.access & REMOTE_ACCESS) !== 0 && !this.#keepRemote) entry.flags |= NOT_KEPT;
    if (pinnedBytes(entry) > this.#maxPinnedBytes) entry.flags |= NOT_KEPT;
    if ((entry.flags & UNCACHED) !== 0) return;
    // Over a limit now, its last release brings the cache back under it.
    if (this.#overLimits(0, 0)) entry.flags |= UNLISTED;
    else this.#order.add(entry);
  }

  /** Idle registrations that a new one contains, and grants all that they grant, make way for it. */
  #replaceIdleWithin(start: number, end: number, access: number): void {
    for (const entry of this.#lookup.within(start, end, access)) {
      if (entry.uses !== 0) continue;
      this.#statistics.replacements++;
      this.#retire(entry, 'replaced');
    }
  }

  #overLimits(moreRegistrations: number, moreBytes: number): boolean {
    const { registered, pinnedBytes } = this.#statistics;
    return (
      registered + moreRegistrations > this.#maxRegistrations ||
      pinnedBytes + moreBytes > this.#maxPinnedBytes
    );
  }

  #makeRoom(bytes: number): void {
    // One that does not fit however much goes is no reason to empty the cache; it will not be kept.
    const room = bytes <= this.#maxPinnedBytes ? bytes : -Infinity;
    while (this.#overLimits(1, room) && this.#giveUpOne());
  }

  /** Deregister one that is on its way out, or else the oldest idle one; false when there is none. */
  #giveUpOne(): boolean {
    if (this.#deregistration.runOne()) return true;
    const entry = this.#order.takeOldest();
    if (entry === undefined) return false;
    this.#statistics.evictions++;
    this.#tellOf('evict', entry);
    this.#retire(entry, 'evicted');
    return true;
  }

  /** Take an entry out of lookup; deregister it soon, or at its last release. */
  #retire(entry: Entry, reason: RetireReason): void {
    const wasRetired = (entry.flags & RETIRED) !== 0;
    entry.flags |= reason === 'stale' ? RETIRED | STALE : RETIRED;
    if (wasRetired) return;
    // Out of lookup before anything is torn down: nobody may find a registration that is about to go.
    this.#lookup.retire(entry);
    this.#order.remove(entry);
    this.#tellOf('retire', entry, reason);
    if (entry.uses !== 0) return;
    // A drain may find any number of them, and must not tear down while it reads.
    if (reason === 'stale') this.#deregistration.add(entry);
    else this.#deregistration.letGo(entry);
  }

  /** Let go of an entry that never was in a table; it may be watched, or registered, or neither. */
  #doom(entry: Entry): void {
    entry.flags = (entry.flags | RETIRED) & ~PENDING;
    this.#deregistration.letGo(entry);
  }

  /** @internal An acquired registration with something to do at its last release is idle. */
  lastRelease(entry: Entry): void {
    if ((entry.flags & RETIRED) !== 0) {
      this.#deregistration.letGo(entry);
    } else if ((entry.flags & NOT_KEPT) !== 0) {
      this.#retire(entry, 'released');
    } else {
      entry.flags &= ~UNLISTED;
      this.#order.add(entry);
      this.#shrink();
    }
  }

  #shrink(): void {
    while (this.#overLimits(0, 0) && this.#giveUpOne());
  }

  /** @internal */
  gone(entry: Entry): void {
    this.#lookup.gone(entry);
    this.#check?.forget(entry);
    const waiting = this.#awaited.get(entry);
    if (waiting === undefined) return;
    this.#awaited.delete(entry);
    for (const tell of waiting) tell();
  }

  *#own(): Generator<Entry> {
    for (const entry of this.#shared.slots.all()) if (entry.keeper === this) yield entry;
  }

  /**
   * Take in what the monitor has to report and unpin what went stale. Acquire does so by itself; to be called by
   * programs that want memory given back sooner.
   */
  drain(): void {
    this.#requireOpen();
    this.#drain();
    this.#deregistration.run();
  }

  #drainIfMoved(): void {
    const { counter } = this.#shared.monitor;
    const low = Atomics.load(counter, 0);
    const high = Atomics.load(counter, 1);
    if (low !== this.#toldLow || high !== this.#toldHigh) this.#drain();
  }

  #drain(): void {
    this.#statistics.drains++;
    this.#shared.drain();
  }

  /** @internal */
  drainedTo(low: number, high: number): void {
    this.#toldLow = low;
    this.#toldHigh = high;
    if (this.#counter === MOVED) return;
    this.#drainedLow = low;
    this.#drainedHigh = high;
  }

  /** @internal */
  drained(): void {
    this.#deregistration.runBriefly();
  }

  /** @internal Inside a drain. */
  invalidated(entry: Entry): void {
    if ((entry.flags & STALE) !== 0) return;
    const pending = (entry.flags & PENDING) !== 0;
    const idle = entry.uses === 0;
    const doomed = idle && (entry.flags & RETIRED) !== 0;
    if (pending) entry.flags |= STALE;
    else if (!doomed) {
      this.#statistics.invalidations++;
      this.#retire(entry, 'stale');
      if (!idle) {
        this.#statistics.invalidatedInUse++;
        this.#tellOf('stale', entry);
      }
    }
    try {
      // Not reported again: this keeps a drain finite while other threads keep changing mappings.
      this.#deregistration.unwatch(entry);
    } catch {
      // The other events of this drain must get through; it is tried again before the entry is deregistered.
    }
  }

  /** Tell listeners, if there are any, after the operation and not inside it: they may acquire, drain or close. */
  #tellOf(event: keyof CacheEvents, entry: Entry, reason?: RetireReason): void {
    const channel = CHANNELS[event];
    if (!channel.hasSubscribers && this.listenerCount(event) === 0) return;
    const registration = event === 'stale' ? entry : describe(entry);
    queueMicrotask(() => {
      channel.publish({ cache: this, registration, ...(reason === undefined ? {} : { reason }) });
      if (event === 'retire') this.emit('retire', registration as RegistrationInfo, reason!);
      else if (event === 'stale') this.emit('stale', entry);
      else this.emit(event, registration as RegistrationInfo);
    });
  }

  /** What the cache has done so far, and what it holds now; a copy. */
  statistics(): Statistics {
    const counted = this.#statistics;
    return { ...counted, hits: this.#hits, acquires: this.#hits + counted.misses + counted.uncached };
  }

  /** What is registered now, by rising address; copies. */
  registrations(): RegistrationInfo[] {
    return [...this.#own()].map(describe).sort((a, b) => a.address - b.address || a.length - b.length);
  }

  /** How many registrations there are now of which size, by rising size. */
  sizes(): SizeClass[] {
    return sizeClasses(this.#own());
  }

  /** True while acquires go past the cache: each makes a registration of its own, which ends at its release. */
  get bypass(): boolean {
    return this.#bypass;
  }

  set bypass(on: boolean) {
    this.#requireOpen();
    if (typeof on !== 'boolean') {
      throw regcacheError('ERR_INVALID_OPTION', `bypass is true or false, not ${String(on)}`);
    }
    this.#bypass = on;
    this.#chooseWay();
  }

  /** What watches the memory; other caches of this thread may share it. */
  get monitor(): MemoryMonitor {
    return this.#shared.monitor;
  }

  /** The limits that hold now. */
  get limits(): Required<ChangeableLimits> {
    return { maxRegistrations: this.#maxRegistrations, maxPinnedBytes: this.#maxPinnedBytes };
  }

  /**
   * Change limits; what is left out stays. Idle registrations over a lower one are deregistered at once.
   * @throws ERR_INVALID_OPTION, ERR_CLOSED
   */
  setLimits(limits: ChangeableLimits): void {
    this.#requireOpen();
    const { maxRegistrations = this.#maxRegistrations, maxPinnedBytes = this.#maxPinnedBytes } = limits;
    checkLimits({ maxRegistrations, maxPinnedBytes });
    this.#maxRegistrations = maxRegistrations;
    this.#maxPinnedBytes = maxPinnedBytes;
    this.#shrink();
  }

  /** Deregister all that is idle. What is in use is deregistered at its last release, unless it is pinned. */
  flush(): void {
    this.#requireOpen();
    this.#flush();
  }

  #flush(): void {
    this.#deregistration.retryStuck();
    for (const entry of this.#own()) if (!this.#pins.has(entry)) this.#retire(entry, 'flushed');
    this.#deregistration.run();
  }

  /**
   * Hand out no registration of these bytes any more, for a program that knows that it is about to change them.
   * @returns settles when the last one has been released and deregistered
   * @throws ERR_NOT_MEMORY and the like, ERR_CLOSED; the promise rejects with the signal's reason
   */
  invalidate(target: Target, { signal }: WaitOptions = {}): Promise<void> {
    const { address, length } = this.#locate(target);
    this.#requireOpen();
    const hit = this.#lookup.overlapping(address, address + length);
    const ends = Promise.all(hit.map((entry) => this.#end(entry)));
    for (const entry of hit) this.#retire(entry, 'invalidated');
    this.#deregistration.run();
    return aborted(ends, signal);
  }

  #end(entry: Entry): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#awaited.get(entry);
      if (waiting === undefined) this.#awaited.set(entry, [resolve]);
      else waiting.push(resolve);
    });
  }

  /**
   * Deregister everything and stop watching; the last cache on a monitor closes it. Does nothing the second time.
   * @throws ERR_BUSY while registrations are in use, or when the device refuses to let go of one; the cache then
   *   stays open and the call may be repeated
   */
  close(): void {
    if (this.#state === 'closed') return;
    const inUse = [...this.#own()].filter((entry) => entry.uses !== 0);
    if (inUse.length !== 0) {
      throw regcacheError(
        'ERR_BUSY',
        `${inUse.length} registration(s) are in use, the first from 0x${inUse[0].start.toString(16)} on; release them first`,
        { address: inUse[0].start, length: inUse[0].length },
      );
    }
    this.#flush();
    if (this.#deregistration.stuck !== 0) {
      throw regcacheError(
        'ERR_BUSY',
        `the device refused to deregister ${this.#deregistration.stuck} region(s); try again`,
      );
    }
    this.#state = 'closed';
    this.#chooseWay();
    this.#check?.close();
    // Last: nobody reads the counter page any more.
    this.#shared.leave(this);
  }

  /**
   * Hand out nothing more, wait until all is released, and close.
   * @returns settles when the cache is closed; rejects with the signal's reason, and the cache is open again, or with
   *   what {@link close} throws
   */
  async end({ signal }: WaitOptions = {}): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'ending';
    this.#chooseWay();
    try {
      const inUse = [...this.#own()].filter((entry) => entry.uses !== 0);
      const ends = Promise.all(inUse.map((entry) => this.#end(entry)));
      for (const entry of inUse) this.#retire(entry, 'flushed');
      await aborted(ends, signal);
      this.close();
    } catch (error) {
      this.#state = 'open';
      this.#chooseWay();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  /** Let acquires try a hit first, or send them all the slow way. */
  #chooseWay(): void {
    const { monitor } = this.#shared;
    const slowly = this.#state !== 'open' || this.#bypass || this.#check !== undefined;
    this.#counter = slowly ? MOVED : monitor.counter;
    this.#generations = slowly ? undefined : monitor.generations;
    this.#drainedLow = slowly ? 0 : this.#toldLow;
    this.#drainedHigh = slowly ? 0 : this.#toldHigh;
  }

  #requireOpen(): void {
    if (this.#state === 'open') return;
    throw regcacheError('ERR_CLOSED', `the cache ${this.#state === 'closed' ? 'was' : 'is being'} closed`);
  }
}

/** The monitor's word for a slot; NaN, which equals nothing, where there is none. */
function generationOf(words: Int32Array | undefined, slot: number): number {
  if (words === undefined || slot >= words.length) return NaN;
  return ORDERED_LOADS ? words[slot] : Atomics.load(words, slot);
}

function isRaw(target: Target): target is Exclude<Target, Memory> {
  return typeof target === 'object' && (target as object | null) !== null && 'address' in target;
}

const ownerOf = (target: Target): Memory | undefined => (isRaw(target) ? undefined : target);

function describe(entry: Entry): RegistrationInfo {
  const { address, length, access, lkey, rkey, uses, stale } = entry;
  return { address, length, access, lkey, rkey, uses, stale, retired: (entry.flags & RETIRED) !== 0 };
}
