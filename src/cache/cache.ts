import { inspect } from 'node:util';
import { Access, checkAccess, describeAccess, REMOTE_ACCESS } from '../access.js';
import { regcacheError } from '../errors.js';
import { jsonOf, showFacts, type Stylizing } from '../inspection.js';
import { checkRange, type Memory } from '../memory/locate.js';
import { checkBoolean, takeOptions } from '../options.js';
import { given, type MonitorChoice } from '../monitor/choice.js';
import type { MemoryMonitor } from '../monitor/monitor.js';
import { aborted, signalOf, type WaitOptions } from './aborted.js';
import { Deregistration, pinnedBytes } from './deregistration.js';
import { CHANNELS, type CacheEvents, type RegistrationInfo, type RetireReason } from './events.js';
import { EvictionOrder } from './eviction-order.js';
import type { Extent } from './extent.js';
import { Handle } from './handle.js';
import { HitPath, loadWord } from './hit.js';
import { Lookup } from './lookup.js';
import { Making, type Steps } from './making.js';
import {
  type CacheOptions,
  CHANGEABLE,
  type ChangeableLimits,
  checkLimits,
  checkOptions,
} from './options.js';
import { PageCheck } from './page-check.js';
import { Pending } from './pending.js';
import {
  type Entry,
  type Keeper,
  NOT_KEPT,
  PENDING,
  REGISTERED,
  type Registration,
  RETIRED,
  servesParts,
  STALE,
  UNCACHED,
  UNLISTED,
} from './registration.js';
import { type Member, SharedMonitor } from './shared-monitor.js';
import { noStatistics, type SizeClass, sizeClasses, type Statistics } from './statistics.js';
import { locationOf, ownerOf, type Target } from './target.js';

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

/**
 * Registrations of one protection domain, kept for reuse and checked against the kernel's word before each use.
 *
 * The promise: what `acquire` returns covers the memory and pins the pages that its addresses map to now, whatever
 * unmapped or remapped them before. When nothing was invalidated that costs a load of the monitor's counter and a
 * table look-up.
 */
export class RegistrationCache extends HitPath implements Keeper, Member {
  readonly #shared: SharedMonitor;
  readonly #deregistration: Deregistration;
  readonly #making: Making;
  readonly #pending: Pending;
  readonly #keepRemote: boolean;
  readonly #merge: boolean;
  /** Bytes. */
  readonly #registerOffThreadFrom: number;
  readonly #check: PageCheck | undefined;
  readonly eagerDrain: boolean;
  /** Which monitor this cache is on, and why not a better one. */
  readonly monitorChoice: MonitorChoice;
  #maxRegistrations: number;
  #maxPinnedBytes: number;

  /** The counter's value up to which everything has been drained. */
  #toldLow = 0;
  #toldHigh = 0;

  #state: 'open' | 'ending' | 'closing' | 'closed' = 'open';
  /** Calls of end() that wait. */
  #ends = 0;
  #bypass = false;
  readonly #lookup: Lookup;
  readonly #order = new EvictionOrder();
  readonly #statistics = noStatistics();
  /** How often each is pinned. */
  readonly #pins = new Map<Entry, number>();
  /** Who waits for the end of which. */
  readonly #awaited = new Map<Entry, (() => void)[]>();

  constructor(options: CacheOptions) {
    const checked = checkOptions(options);
    const shared = SharedMonitor.of(checked.monitor);
    const { monitor, slots } = shared;
    const { registrar } = checked;
    const lookup = new Lookup();
    super(lookup.writable, slots);
    this.#shared = shared;
    this.#lookup = lookup;
    this.#deregistration = new Deregistration(
      monitor,
      registrar,
      slots,
      this.#statistics,
      checked.deregisterFor,
      checked.deregisterOffThreadFrom,
    );
    this.#maxRegistrations = checked.maxRegistrations;
    this.#maxPinnedBytes = checked.maxPinnedBytes;
    this.#keepRemote = checked.keepRemote;
    this.#merge = checked.merge;
    this.#registerOffThreadFrom =
      registrar.registerAsync === undefined ? Infinity : checked.registerOffThreadFrom;
    this.#check = checked.witness && new PageCheck(checked.witness);
    const steps = this.#steps();
    this.#making = new Making(
      this,
      steps,
      shared,
      registrar,
      lookup,
      this.#deregistration,
      this.#statistics,
      this.#check,
    );
    this.#pending = new Pending(
      steps,
      this.#making,
      registrar,
      lookup,
      this.#deregistration,
      this.#statistics,
    );
    this.eagerDrain = checked.eagerDrain;
    this.monitorChoice = checked.monitorChoice ?? given(checked.monitor);
    this.#chooseWay();
    this.#shared.join(this);
  }

  /** @internal */
  protected override acquireSlowly(
    address: number,
    length: number,
    access: number,
    owner: Memory | undefined,
  ): Entry | Handle {
    if (owner === undefined) checkRange(address, length);
    const found = this.#acquireFound(address, length, access, owner);
    if (found !== undefined) return found;
    if (this.#bypass) return this.#acquireOnce(address, length, access, owner);
    return this.#handOut(this.#making.make(address, length, access, owner, 0));
  }

  /** A hit, unless acquires go past the cache, after all that there is to check and to drain. */
  #acquireFound(
    address: number,
    length: number,
    access: number,
    owner: Memory | undefined,
  ): Entry | Handle | undefined {
    this.#requireOpen();
    checkCachedAccess(access);
    this.#drainIfMoved();
    if (this.#bypass) return undefined;
    const found = this.#lookup.find(address, address + length, access);
    if (found === undefined) return undefined;
    if (!this.#isVerified(found)) return this.#acquireFound(address, length, access, owner);
    this.#statistics.hits++;
    found.useFor(owner);
    return this.#handOut(found);
  }

  /**
   * The same as {@link acquire} without holding up the event loop: what is not cached and so large that it pays
   * (option `registerOffThreadFrom`) is registered by another thread. The memory is kept alive meanwhile; where it lies
   * at a raw address, the caller keeps it mapped.
   * @returns rejects with what {@link acquire} throws, with ERR_CLOSED when the cache is closed meanwhile, or at once
   *   with the signal's reason: nothing is registered then as soon as the call of the other thread is over
   */
  async acquireAsync(
    target: Target,
    access: number = Access.LOCAL_WRITE,
    options: WaitOptions = {},
  ): Promise<Registration> {
    const signal = signalOf(options);
    return aborted(this.#acquireAsync(target, access, signal), signal, (late) => {
      late.release();
    });
  }

  async #acquireAsync(
    target: Target,
    access: number,
    signal: AbortSignal | undefined,
  ): Promise<Entry | Handle> {
    const owner = ownerOf(target);
    for (;;) {
      signal?.throwIfAborted();
      const { address, length } = locationOf(target);
      if (length < this.#registerOffThreadFrom) return this.acquireSlowly(address, length, access, owner);
      const found = this.#acquireFound(address, length, access, owner);
      if (found !== undefined) return found;
      const flags = this.#bypass ? UNCACHED | NOT_KEPT : 0;
      const moved = (): boolean => {
        const now = locationOf(target);
        return now.address !== address || now.length !== length;
      };
      const made = await this.#pending.make({ address, length, access, flags, owner, signal, moved });
      if (made === undefined) continue;
      return this.#handOut(made);
    }
  }

  #steps(): Steps {
    return {
      requireOpen: () => {
        this.#requireOpen();
      },
      mergeable: (start, end, access) => this.#mergeable(start, end, access),
      replaceIdleWithin: (start, end, access, atOnce) => {
        this.#replaceIdleWithin(start, end, access, atOnce);
      },
      lacksRoom: (bytes) => this.#lacksRoom(bytes),
      giveUpOne: (atOnce) => this.#giveUpOne(atOnce),
      drainIfMoved: () => {
        this.#drainIfMoved();
      },
      start: (entry, owner) => {
        this.#start(entry, owner);
      },
    };
  }

  /** False when its mapping changed since the drain. @throws ERR_STALE_REGISTRATION */
  #isVerified(entry: Entry): boolean {
    try {
      this.#check?.verify(entry);
      return true;
    } catch (error) {
      // A change is counted before it is done: nobody is to blame for one that the next drain will report.
      if (this.#hasMoved()) return false;
      throw error;
    }
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
    const { address, length } = locationOf(target);
    this.#requireOpen();
    checkCachedAccess(access);
    this.#drainIfMoved();
    return this.#acquireOnce(address, length, access, ownerOf(target));
  }

  #acquireOnce(address: number, length: number, access: number, owner: Memory | undefined): Entry | Handle {
    return this.#handOut(this.#making.make(address, length, access, owner, UNCACHED | NOT_KEPT));
  }

  /**
   * Acquire for long: neither limits nor {@link flush} take it away until its release. Should its mapping change, it is
   * stale all the same.
   * @throws what {@link acquire} and {@link acquireRange} throw
   */
  pin(target: Target, access: number = Access.LOCAL_WRITE): Registration {
    const { address, length } = locationOf(target);
    const registration = this.acquireSlowly(address, length, access, ownerOf(target));
    const entry = registration instanceof Handle ? registration.entry : registration;
    this.#pins.set(entry, (this.#pins.get(entry) ?? 0) + 1);
    return new Handle(entry, () => {
      const left = this.#pins.get(entry)! - 1;
      if (left === 0) this.#pins.delete(entry);
      else this.#pins.set(entry, left);
    });
  }

  /** These pages and the idle registrations that overlap or adjoin them, if there are any and they may be merged. */
  #mergeable(start: number, end: number, access: number): Extent | undefined {
    if (!this.#merge) return undefined;
    const idle = this.#lookup.sharing(start - 1, end + 1, access).filter((entry) => entry.uses === 0);
    const first = idle.reduce((least, entry) => Math.min(least, entry.start), start);
    const last = idle.reduce((most, entry) => Math.max(most, entry.end), end);
    if ((first === start && last === end) || last - first > this.#maxPinnedBytes) return undefined;
    return { start: first, end: last };
  }

  #start(entry: Entry, owner: Memory | undefined): void {
    if ((entry.flags & UNCACHED) === 0) this.#statistics.misses++;
    else this.#statistics.uncached++;
    entry.useFor(owner);
    entry.unmark();
    this.#insert(entry);
    this.#tellOf('register', entry);
  }

  #insert(entry: Entry): void {
    if (servesParts(entry.access, entry.flags)) {
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
  #replaceIdleWithin(start: number, end: number, access: number, atOnce: boolean): void {
    for (const entry of this.#lookup.within(start, end, access)) {
      if (entry.uses !== 0) continue;
      this.#statistics.replacements++;
      this.#retire(entry, 'replaced', atOnce);
    }
  }

  #overLimits(moreRegistrations: number, moreBytes: number): boolean {
    const { registered, pinnedBytes } = this.#statistics;
    const pending = this.#pending;
    return (
      registered + pending.registrations + moreRegistrations > this.#maxRegistrations ||
      pinnedBytes + pending.bytes + moreBytes > this.#maxPinnedBytes
    );
  }

  /** Whether a limit does not allow another registration that pins so many bytes. */
  #lacksRoom(bytes: number): boolean {
    // One that does not fit however much goes is no reason to empty the cache; it will not be kept.
    return this.#overLimits(1, bytes <= this.#maxPinnedBytes ? bytes : -Infinity);
  }

  /** Deregister one that is on its way out, or else the oldest idle one; false when there is none. */
  #giveUpOne(atOnce: boolean): boolean {
    if (this.#deregistration.runOne(atOnce)) return true;
    const entry = this.#order.takeOldest();
    if (entry === undefined) return false;
    this.#statistics.evictions++;
    this.#tellOf('evict', entry);
    this.#retire(entry, 'evicted', atOnce);
    return true;
  }

  /**
   * Take an entry out of lookup; deregister it soon, or at its last release.
   * @param atOnce as for {@link Deregistration.letGo}
   */
  #retire(entry: Entry, reason: RetireReason, atOnce = false): void {
    const wasRetired = (entry.flags & RETIRED) !== 0;
    entry.flags |= reason === 'stale' ? RETIRED | STALE : RETIRED;
    // One that is being made is in no table, and whoever makes it sees to the rest.
    if (wasRetired || (entry.flags & PENDING) !== 0) return;
    // Out of lookup before anything is torn down: nobody may find a registration that is about to go.
    this.#lookup.retire(entry);
    this.#order.remove(entry);
    this.#tellOf('retire', entry, reason);
    if (entry.uses !== 0) return;
    // A drain may find any number of them, and must not tear down while it reads.
    if (reason === 'stale') this.#deregistration.add(entry);
    else this.#deregistration.letGo(entry, atOnce);
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
    const leaving = this.#deregistration;
    // What another thread deregisters counts until it is gone, but no more need go for its sake.
    while (this.#overLimits(-leaving.leaving, -leaving.leavingBytes) && this.#giveUpOne(false));
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

  /** All that are made, and not gone. */
  *#own(): Generator<Entry> {
    for (const entry of this.#shared.slots.all()) {
      if (entry.keeper === this && (entry.flags & PENDING) === 0) yield entry;
    }
  }

  /** Not those that the device has let go of and the monitor has not. */
  *#pinning(): Generator<Entry> {
    for (const entry of this.#own()) if ((entry.flags & REGISTERED) !== 0) yield entry;
  }

  /**
   * Take in what the monitor has to report and unpin what went stale. Acquire does so by itself; to be called by
   * programs that want memory given back sooner.
   * @throws ERR_CLOSED, or what the monitor throws
   */
  drain(): void {
    this.#requireOpen();
    this.#drain();
    this.#deregistration.run();
  }

  #drainIfMoved(): void {
    if (this.#hasMoved()) this.#drain();
  }

  #hasMoved(): boolean {
    const { counter } = this.#shared.views();
    const low = loadWord(counter, 0);
    const high = loadWord(counter, 1);
    return low !== this.#toldLow || high !== this.#toldHigh;
  }

  #drain(): void {
    this.#statistics.drains++;
    this.#shared.drain();
  }

  /** @internal */
  drainedTo(low: number, high: number): void {
    this.#toldLow = low;
    this.#toldHigh = high;
    this.#chooseWay();
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
      if (event === 'retire') this.emit('retire', registration, reason!);
      else if (event === 'stale') this.emit('stale', entry);
      else this.emit(event, registration);
    });
  }

  /** What the cache has done so far, and what it holds now; a copy. */
  statistics(): Statistics {
    const counted = this.#statistics;
    const hits = this.hits + counted.hits;
    return { ...counted, hits, acquires: hits + counted.misses + counted.uncached };
  }

  /** What is registered now, by rising address; copies. */
  registrations(): RegistrationInfo[] {
    return [...this.#pinning()].map(describe).sort((a, b) => a.address - b.address || a.length - b.length);
  }

  /** How many registrations there are now of which size, by rising size. */
  sizes(): SizeClass[] {
    return sizeClasses(this.#pinning());
  }

  /** True once it was closed. */
  get closed(): boolean {
    return this.#state === 'closed';
  }

  /**
   * True while acquires go past the cache: each makes a registration of its own, which ends at its release.
   * @throws ERR_CLOSED, ERR_INVALID_OPTION when it is set
   */
  get bypass(): boolean {
    return this.#bypass;
  }

  set bypass(on: boolean) {
    this.#requireOpen();
    checkBoolean('bypass', on);
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
    const { maxRegistrations = this.#maxRegistrations, maxPinnedBytes = this.#maxPinnedBytes } = takeOptions(
      limits,
      CHANGEABLE,
    );
    checkLimits({ maxRegistrations, maxPinnedBytes });
    this.#maxRegistrations = maxRegistrations;
    this.#maxPinnedBytes = maxPinnedBytes;
    this.#shrink();
  }

  /**
   * Deregister all that is idle. What is in use is deregistered at its last release, unless it is pinned.
   * @throws ERR_CLOSED
   */
  flush(): void {
    this.#requireOpen();
    this.#flush();
  }

  #flush(atOnce = false): void {
    this.#deregistration.retryStuck(atOnce);
    for (const entry of this.#own()) if (!this.#pins.has(entry)) this.#retire(entry, 'flushed', atOnce);
    this.#deregistration.run(atOnce);
  }

  /**
   * Hand out no registration of these bytes any more, for a program that knows that it is about to change them.
   * @returns settles when the last one has been released and deregistered
   * @throws ERR_NOT_MEMORY and the like, ERR_CLOSED; the promise rejects with the signal's reason
   */
  invalidate(target: Target, options: WaitOptions = {}): Promise<void> {
    const signal = signalOf(options);
    const { address, length } = locationOf(target);
    this.#requireOpen();
    // First what waits to go, which is in no table any more.
    this.#deregistration.run();
    const end = address + length;
    const found = [...this.#lookup.overlapping(address, end), ...this.#deregistration.holding(address, end)];
    const hit = [...new Set(found)];
    const ends = Promise.all(hit.map((entry) => this.#end(entry)));
    for (const entry of hit) this.#retire(entry, 'invalidated');
    return aborted(
      ends.then(() => undefined),
      signal,
    );
  }

  #end(entry: Entry): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#awaited.get(entry);
      if (waiting === undefined) this.#awaited.set(entry, [resolve]);
      else waiting.push(resolve);
    });
  }

  /**
   * Deregister everything, on the spot however large, and stop watching; the last cache on a monitor closes it. Does
   * nothing the second time.
   * @throws ERR_BUSY while registrations are in use, while another thread registers or deregisters ({@link end} waits
   *   for it), or when the device refuses to let go of one; the cache then stays open and the call may be repeated;
   *   what closing the monitor throws, and then it may be repeated as well
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
    const busy = this.#pending.acquires + this.#deregistration.leaving;
    if (busy !== 0) {
      throw regcacheError(
        'ERR_BUSY',
        `${busy} registration(s) are being made or let go of by another thread; await cache.end(), which waits for that`,
      );
    }
    this.#flush(true);
    if (this.#deregistration.stuck !== 0) {
      throw regcacheError(
        'ERR_BUSY',
        `the device refused to deregister ${this.#deregistration.stuck} region(s); try again`,
      );
    }
    this.#state = 'closing';
    this.#chooseWay();
    this.#check?.close();
    // Last: nobody reads the counter page any more.
    this.#shared.leave(this);
    this.#state = 'closed';
  }

  /**
   * Hand out nothing more, wait until all is released and no other thread is at work, and close. What acquireAsync has
   * not handed out yet is refused with ERR_CLOSED.
   * @returns settles when the cache is closed; rejects with the signal's reason, and the cache is open again, or with
   *   what {@link close} throws
   */
  async end(options: WaitOptions = {}): Promise<void> {
    const signal = signalOf(options);
    if (this.#state === 'closed') return;
    if (this.#state === 'closing') {
      // What is left is what threw when it was closed.
      this.close();
      return;
    }
    this.#state = 'ending';
    this.#ends++;
    this.#chooseWay();
    try {
      const inUse = [...this.#own()].filter((entry) => entry.uses !== 0);
      const ends = Promise.all([this.#pending.ended(), ...inUse.map((entry) => this.#end(entry))]);
      for (const entry of inUse) this.#retire(entry, 'flushed');
      await aborted(ends, signal);
      // The large ones are not for close(), which would do it on the spot.
      this.#flush();
      await aborted(this.#deregistration.allDone(), signal);
      this.close();
    } catch (error) {
      // Unless somebody else waits as well, or has closed it meanwhile, or begun to.
      if (this.#ends === 1 && this.#isEnding()) {
        this.#state = 'open';
        this.#chooseWay();
      }
      throw error;
    } finally {
      this.#ends--;
    }
  }

  #isEnding(): boolean {
    return this.#state === 'ending';
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  /** @internal */
  [inspect.custom](depth: number, options: Stylizing): string {
    return showFacts('RegistrationCache', () => this.#facts(), depth, options);
  }

  /** @internal */
  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(() => this.#facts());
  }

  #facts(): Readonly<Record<string, unknown>> {
    const { registered, pinnedBytes, acquires, hits, misses, uncached } = this.statistics();
    const { bypass, closed } = this;
    return {
      ...{ monitor: this.monitor.kind, registered, pinnedBytes, ...this.limits },
      ...{ acquires, hits, misses, uncached, bypass, closed },
    };
  }

  /** Let acquires try a hit first, or send them all the slow way. */
  #chooseWay(): void {
    if (this.#state !== 'open' || this.#bypass || this.#check !== undefined) this.serveNone();
    else this.serveHits(this.#shared.views(), this.#toldLow, this.#toldHigh);
  }

  #requireOpen(): void {
    if (this.#state === 'open') return;
    throw regcacheError('ERR_CLOSED', `the cache ${this.#state === 'closed' ? 'was' : 'is being'} closed`);
  }
}

function describe(entry: Entry): RegistrationInfo {
  const { address, length, access, lkey, rkey, uses, stale } = entry;
  return { address, length, access, lkey, rkey, uses, stale, retired: (entry.flags & RETIRED) !== 0 };
}
