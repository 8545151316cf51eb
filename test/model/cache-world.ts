import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Access, REMOTE_ACCESS } from '../../src/access.js';
import type { CacheLimits } from '../../src/cache/options.js';
import type { Registration } from '../../src/cache/registration.js';
import { RegcacheError, systemError } from '../../src/errors.js';
import { pageCeil, pageFloor } from '../../src/memory/pages.js';
import { at, cacheOn, PAGES } from '../unit/cache-fixture.js';
import { AddressSpace, type ModelRegion, ModelRegistrar } from './address-space.js';

/** What is cached, as a naive list knows it: no tree, no order, no counter. */
interface Range {
  readonly key: number;
  readonly start: number;
  readonly end: number;
  readonly access: number;
  /** To be deregistered at its last release. */
  readonly kept: boolean;
  /** Its mapping was changed: it must not be handed out any more. */
  hit: boolean;
}

/** A cache, and what it has to look like from outside. */
export interface Side extends ReturnType<typeof cacheOn> {
  readonly options: SideOptions;
  ranges: Range[];
  held: { readonly registration: Registration; readonly key: number; readonly pin: boolean }[];
  counted: { hits: number; misses: number; uncached: number };
  /** Since it was made: deregistrations that failed, each of which may leave one behind for a while. */
  refused: number;
}

export type SideOptions = CacheLimits & { checking?: boolean };

export interface Settings {
  readonly sides: readonly [SideOptions, SideOptions];
  readonly generationWords: number;
  readonly losesLast: boolean;
}

export interface Request {
  readonly how: 'acquire' | 'pin' | 'uncached';
  readonly start: number;
  readonly end: number;
  readonly access: number;
}

export const FAULTS = ['register', 'deregister', 'lkey', 'watch', 'unwatch', 'drain'] as const;
export type FaultName = (typeof FAULTS)[number];
/** Where in the making of a registration, or in a drain, another thread changes a mapping. */
export const MOMENTS = [
  'beforeWatch',
  'beforeRegister',
  'afterRegister',
  'beforeDrain',
  'afterEvent',
  'afterLast',
] as const;
export type Moment = (typeof MOMENTS)[number];

/** How often the cache tries to register memory whose mapping does not rest. */
const ATTEMPTS = 8;

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const pinnedOf = ({ start, end }: { start: number; end: number }): number => pageCeil(end) - pageFloor(start);
const contains = (outer: { start: number; end: number }, inner: { start: number; end: number }): boolean =>
  outer.start <= inner.start && inner.end <= outer.end;

/** An address space, two caches on one monitor, faults and other threads that wait for their moment. */
export class World {
  readonly space = new AddressSpace();
  readonly sides: Side[];
  /** Commands so far. */
  steps = 0;
  readonly #promises: Promise<void>[] = [];
  /** What struck in the present command. */
  readonly #struck = new Set<FaultName>();
  /** Changes made by other threads in the present command; the last kind comes too late for it. */
  #changes = 0;
  #lateChanges = 0;

  constructor({ sides, generationWords, losesLast }: Settings) {
    const { space } = this;
    space.monitor.losesLast = losesLast;
    if (generationWords > 0) space.monitor.generations = new Int32Array(generationWords);
    space.map(at(0), at(PAGES));
    this.sides = sides.map((options) => this.#makeSide(options));
  }

  #makeSide(options: SideOptions): Side {
    const { space } = this;
    const { checking = false, ...limits } = options;
    const frames = (start: number, end: number) => BigUint64Array.from(space.frames(start, end), BigInt);
    const made = cacheOn(
      space,
      new ModelRegistrar(space),
      checking ? { ...limits, witness: { frames } } : limits,
    );
    const counted = { hits: 0, misses: 0, uncached: 0 };
    return { ...made, options, ranges: [], held: [], counted, refused: 0 };
  }

  /** A command; afterwards everything has to be as it should. */
  step(work: () => void): void {
    this.steps++;
    this.#struck.clear();
    this.#changes = this.#lateChanges = 0;
    work();
    for (const side of this.sides) this.#assertConsistent(side);
  }

  /** What a thread does to mappings, now. */
  change(kind: 'map' | 'unmap' | 'protect', first: number, end: number): void {
    for (const { ranges } of this.sides) {
      for (const range of ranges)
        if (pageFloor(range.start) < at(end) && range.end > at(first)) range.hit = true;
    }
    this.space[kind](at(first), at(end));
  }

  /** What another thread will do to mappings, at its moment, a number of times. */
  changeDuring(who: number, moment: Moment, first: number, end: number, times: number): void {
    let left = times;
    const change = (): void => {
      if (left-- <= 0) return;
      this.#changes++;
      if (moment === 'afterLast') this.#lateChanges++;
      this.change('map', first, end);
    };
    if (moment === 'beforeRegister' || moment === 'afterRegister') this.sides[who].registrar[moment] = change;
    else this.space.monitor[moment] = change;
  }

  /** The next call fails. */
  arm(who: number, fault: FaultName, errno: 'ENOMEM' | 'EINVAL' | 'EIO'): void {
    const { monitor } = this.space;
    const { registrar } = this.sides[who];
    const strike = (disarm: () => void) => (): never => {
      disarm();
      this.#struck.add(fault);
      if (fault === 'deregister' || fault === 'unwatch') for (const side of this.sides) side.refused++;
      throw systemError(constants.errno[errno], fault);
    };
    switch (fault) {
      case 'register':
        registrar.beforeRegister = strike(() => (registrar.beforeRegister = undefined));
        break;
      case 'deregister':
        registrar.beforeDeregister = strike(() => (registrar.beforeDeregister = undefined));
        break;
      case 'lkey':
        registrar.beforeKey = strike(() => (registrar.beforeKey = undefined));
        break;
      case 'watch':
        monitor.beforeWatch = strike(() => (monitor.beforeWatch = undefined));
        break;
      case 'unwatch':
        monitor.beforeUnwatch = strike(() => (monitor.beforeUnwatch = undefined));
        break;
      case 'drain':
        monitor.beforeDrain = strike(() => (monitor.beforeDrain = undefined));
        break;
    }
  }

  #calm(): void {
    const { monitor } = this.space;
    monitor.beforeWatch = monitor.beforeUnwatch = monitor.beforeDrain = undefined;
    monitor.afterEvent = monitor.afterLast = undefined;
    for (const { registrar } of this.sides) {
      registrar.beforeRegister = registrar.afterRegister = undefined;
      registrar.beforeDeregister = registrar.beforeKey = undefined;
    }
  }

  /** What is handed out covers the request and is fresh; it is one of the list exactly when the list has one. */
  obtain(side: Side, request: Request): void {
    const { cache, registrar, ranges } = side;
    const { how, start, end, access } = request;
    const known = registrar.history.length;
    const before = cache.statistics();
    const past = how === 'uncached' || cache.bypass;
    const serving = past ? [] : ranges.filter((range) => !range.hit && serves(range, request));
    let registration: Registration | undefined;
    try {
      const target = { address: start, length: end - start };
      registration =
        how === 'acquire'
          ? cache.acquireRange(start, end - start, access)
          : how === 'pin'
            ? cache.pin(target, access)
            : cache.acquireUncached(target, access);
    } catch (error) {
      this.#assertExplained(error, request, serving);
    }
    const { evictions } = cache.statistics();
    if (evictions > before.evictions) this.#assertCrowded(side, request, before);
    if (registration === undefined) {
      // A larger one replaces those within it before it is tried.
      const pages = { start: pageFloor(start), end: pageCeil(end) };
      this.#dropGone(side, evictions - before.evictions, (range) => contains(pages, range));
    } else {
      const { lkey } = registration;
      const region = registrar.byKey(lkey);
      const made = registrar.history.indexOf(region) >= known;
      this.#assertServes(side, region, registration, request);
      if (past) assert.ok(made, 'past the cache');
      else if (serving.length === 0) assert.ok(made, 'none of the list would do');
      else if (this.#changes === 0)
        assert.ok(
          serving.some(({ key }) => key === lkey),
          'one of the list does',
        );
      side.counted[past ? 'uncached' : made ? 'misses' : 'hits']++;
      side.held.push({ registration, key: lkey, pin: how === 'pin' });
      // In place of the smaller ones that grant no more.
      this.#dropGone(side, evictions - before.evictions, (range) => made && contains(region, range));
      if (made && !past) ranges.push(this.#rangeOf(side, region));
    }
    this.#dropGoneElsewhere(side);
  }

  #rangeOf(side: Side, { key, start, end, access, frames }: ModelRegion): Range {
    const { maxPinnedBytes } = side.cache.limits;
    const kept =
      (side.options.keepRemote === true || (access & REMOTE_ACCESS) === 0) &&
      pinnedOf({ start, end }) <= maxPinnedBytes;
    const hit = frames.join() !== this.space.frames(start, end).join();
    return { key, start, end, access, kept, hit };
  }

  #assertServes(side: Side, region: ModelRegion, registration: Registration, request: Request): void {
    const { space } = this;
    assert.ok(side.registrar.pinned.has(region), 'it is pinned');
    if ((request.access & REMOTE_ACCESS) !== 0) {
      assert.deepEqual([region.start, region.end], [request.start, request.end], 'exactly these bytes');
      assert.equal(region.access, request.access, 'exactly these rights');
    } else {
      assert.ok(contains(region, request), 'it covers the request');
      assert.ok(region.access === request.access || request.access === Access.NONE, 'and its rights');
      assert.equal(region.access & REMOTE_ACCESS, 0, 'no peer');
    }
    assert.deepEqual([registration.address, registration.length], [region.start, region.end - region.start]);
    if (this.#lateChanges > 0) return;
    assert.equal(
      region.frames.join(),
      space.frames(region.start, region.end).join(),
      'it pins what is mapped now',
    );
    assert.equal(registration.stale, false);
  }

  #assertExplained(error: unknown, request: Request, serving: readonly Range[]): void {
    assert.ok(error instanceof RegcacheError, String(error));
    const { start, end, access } = request;
    const reasons = this.#strikes('register', 'watch', 'lkey', 'drain');
    if (this.#changes >= ATTEMPTS) reasons.push('ERR_MAPPING_UNSTABLE');
    if (serving.length === 0 || this.#changes > 0) {
      if (this.space.frames(start, end).includes(0)) reasons.push('ERR_NOT_MAPPED');
      if ((access & Access.LOCAL_WRITE) !== 0 && !this.space.isWritable(start, end))
        reasons.push('ERR_READ_ONLY_MEMORY');
    }
    assert.ok(reasons.includes(error.code), `${error.message}, where there is reason for: ${reasons.join()}`);
  }

  /** Codes that the faults explain which have struck. */
  #strikes(...faults: FaultName[]): string[] {
    return faults.some((fault) => this.#struck.has(fault))
      ? ['ENOMEM', 'EINVAL', 'EIO', 'ERR_REGISTRATION_FAILED']
      : [];
  }

  #assertCrowded(
    { cache, options }: Side,
    request: Request,
    before: { registered: number; pinnedBytes: number },
  ): void {
    const { maxRegistrations, maxPinnedBytes } = cache.limits;
    // With its neighbours it may become as large as all.
    const bytes = options.merge === true ? at(PAGES) - at(0) : pinnedOf(request);
    assert.ok(
      before.registered + 1 > maxRegistrations ||
        before.pinnedBytes + bytes > maxPinnedBytes ||
        this.#struck.size > 0,
      'nothing is evicted without need',
    );
  }

  /**
   * Strike those off the list that are handed out no more, for which there has to be a reason.
   * @param evicted how many need none
   */
  #dropGone({ cache, ranges, held }: Side, evicted: number, reason: (range: Range) => boolean): void {
    const found = new Set(cache.registrations().flatMap(({ lkey, retired }) => (retired ? [] : [lkey])));
    const lost = ranges.filter((range) => !found.has(range.key) && !range.hit && !reason(range));
    assert.ok(lost.length <= evicted, `lost without a reason: ${JSON.stringify(lost)}`);
    for (const range of lost) assert.ok(!held.some(({ key }) => key === range.key), 'evicted while in use');
    ranges.splice(0, Infinity, ...ranges.filter(({ key }) => found.has(key)));
  }

  /** Whoever drains, the other cache hears of it. */
  #dropGoneElsewhere(side: Side): void {
    for (const other of this.sides) if (other !== side) this.#dropGone(other, 0, () => false);
  }

  release(side: Side, which: number): void {
    const { cache, held, ranges } = side;
    const [{ registration, key }] = held.splice(which % held.length, 1);
    const { evictions } = cache.statistics();
    const last = !held.some((other) => other.key === key);
    registration.release();
    const range = ranges.find((other) => other.key === key);
    this.#dropGone(
      side,
      cache.statistics().evictions - evictions,
      (one) => last && one === range && !one.kept,
    );
    if (last && range !== undefined && !range.kept)
      assert.ok(!ranges.includes(range), 'not kept after its last release');
  }

  setLimits(side: Side, limits: { maxRegistrations?: number; maxPinnedBytes?: number }): void {
    const { cache } = side;
    const { evictions } = cache.statistics();
    cache.setLimits(limits);
    this.#dropGone(side, cache.statistics().evictions - evictions, () => false);
  }

  setBypass({ cache }: Side, on: boolean): void {
    cache.bypass = on;
  }

  flush(side: Side): void {
    side.cache.flush();
    const pinned = new Set(side.held.flatMap(({ key, pin }) => (pin ? [key] : [])));
    this.#dropGone(side, 0, ({ key }) => !pinned.has(key));
    for (const { key } of side.ranges) assert.ok(pinned.has(key), 'all but the pinned ones are flushed');
  }

  drain(side: Side): void {
    try {
      side.cache.drain();
    } catch (error) {
      assert.ok(this.#strikes('drain').includes((error as RegcacheError).code), String(error));
      return;
    }
    for (const each of this.sides) {
      const hit = new Set(each.ranges.filter((range) => range.hit).map(({ key }) => key));
      this.#dropGone(each, 0, () => false);
      if (this.#changes > 0) continue;
      for (const { hit, key } of each.ranges) assert.ok(!hit, `${key} was hit`);
      for (const { registration, key } of each.held)
        if (hit.has(key)) assert.equal(registration.stale, true, 'what is in use hears of it');
    }
  }

  invalidate(side: Side, first: number, end: number): void {
    const { cache, registrar } = side;
    const [start, stop] = [at(first), at(end)];
    const overlaps = (range: { start: number; end: number }): boolean =>
      range.start < stop && range.end > start;
    const meant = [...registrar.pinned].filter(overlaps);
    const promise = cache.invalidate({ address: start, length: stop - start });
    this.#dropGone(side, 0, overlaps);
    for (const range of side.ranges) assert.ok(!overlaps(range), 'is handed out no more');
    this.#promises.push(
      promise.then(() => {
        for (const region of meant) assert.ok(!registrar.pinned.has(region), 'settled too early');
      }),
    );
  }

  /** Close a cache and make another one in its place. */
  reopen(side: Side): void {
    try {
      side.cache.close();
    } catch (error) {
      assert.equal((error as RegcacheError).code, 'ERR_BUSY');
      assert.ok(side.held.length > 0 || side.registrar.pinned.size > 0 || side.refused > 0, String(error));
      if (side.held.length === 0) this.#dropGone(side, 0, () => true);
      return;
    }
    assert.equal(side.held.length, 0);
    side.assertNoneRegistered();
    assert.equal(this.space.monitor.closed, false, 'the other one uses it');
    this.sides[this.sides.indexOf(side)] = this.#makeSide(side.options);
  }

  #assertConsistent(side: Side): void {
    const { cache, registrar, held, counted } = side;
    const statistics = cache.statistics();
    const { hits, misses, uncached, acquires } = statistics;
    assert.deepEqual({ hits, misses, uncached }, counted);
    assert.equal(acquires, hits + misses + uncached);
    const pinned = [...registrar.pinned];
    assert.equal(statistics.registered, pinned.length);
    assert.equal(statistics.registrations, registrar.history.length);
    assert.equal(statistics.deregistrations, registrar.history.length - pinned.length);
    assert.equal(statistics.pinnedBytes, sum(pinned.map(pinnedOf)));
    assert.equal(cache.registrations().length, pinned.length);
    const classes = new Map<number, number>();
    for (const { start, end } of pinned) {
      const from = 2 ** Math.floor(Math.log2(end - start));
      classes.set(from, (classes.get(from) ?? 0) + 1);
    }
    assert.deepEqual(
      cache.sizes().map(({ from, registrations }) => [from, registrations]),
      [...classes].sort(([a], [b]) => a - b),
    );
    const used = new Set(held.map(({ key }) => registrar.byKey(key)));
    for (const region of used) assert.ok(registrar.pinned.has(region), 'what is in use stays pinned');
    // Over the limits only by what is in use, or what the device or the monitor would not let go of.
    const { maxRegistrations, maxPinnedBytes } = cache.limits;
    assert.ok(statistics.registered <= Math.max(maxRegistrations, used.size) + side.refused, 'limits');
    if (side.refused > 0) return;
    // One that fits in no case empties no cache.
    const bytes = [...used].map(pinnedOf);
    const oversized = sum(bytes.filter((size) => size > maxPinnedBytes));
    assert.ok(
      statistics.pinnedBytes <= Math.max(maxPinnedBytes, sum(bytes) - oversized) + oversized,
      'limit of bytes',
    );
  }

  /** Without faults everything can be given back, and nothing is left. */
  async end(): Promise<void> {
    this.#calm();
    for (const { held } of this.sides) for (const { registration } of held) registration.release();
    for (const { cache } of this.sides) cache.close();
    assert.ok(this.space.monitor.closed);
    for (const side of this.sides) side.assertNothingLeft();
    await Promise.all(this.#promises);
  }
}

/** Whether a registration of the list will do. */
function serves(range: Range, { start, end, access }: Request): boolean {
  if ((access & REMOTE_ACCESS) !== 0 || (range.access & REMOTE_ACCESS) !== 0)
    return range.access === access && range.start === start && range.end === end;
  if (!contains(range, { start, end })) return false;
  return range.access === access || access === Access.NONE;
}
