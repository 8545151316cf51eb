import { constants } from 'node:os';
import { Access } from '../../src/access.js';
import type { Registrar } from '../../src/cache/registrar.js';
import { regcacheError, systemError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import type { DrainSink, MemoryMonitor } from '../../src/monitor/monitor.js';

/**
 * A model of what the kernel does: pages that map to frames, watches that hear of changes, pins that hold frames. It
 * stands in only at the cache's two interfaces, so that every interleaving can be arranged by hand.
 */
export class AddressSpace {
  readonly #frames = new Map<number, number>();
  readonly #readOnly = new Set<number>();
  #nextFrame = 1;
  readonly monitor = new ModelMonitor();
  readonly registrar = new ModelRegistrar(this);

  /** Map fresh frames at the pages of `[start, end)`, whatever was there. */
  map(start: number, end: number): void {
    this.remapSilently(start, end);
    this.monitor.changed(start, end);
  }

  /** Fresh frames that no watch hears of: the event is still on its way; see {@link ModelMonitor.inject}. */
  remapSilently(start: number, end: number): void {
    for (let page = start; page < end; page += PAGE_SIZE) {
      this.#frames.set(page, this.#nextFrame++);
      this.#readOnly.delete(page);
    }
  }

  /** The same frames, which may not be written any more; reported, as mprotect(2) is. */
  protect(start: number, end: number): void {
    for (let page = start; page < end; page += PAGE_SIZE) this.#readOnly.add(page);
    this.monitor.changed(start, end);
  }

  /** Whether all pages that hold `[start, end)` may be written. */
  isWritable(start: number, end: number): boolean {
    return !pagesOf(start, end).some((page) => this.#readOnly.has(page));
  }

  unmap(start: number, end: number): void {
    for (let page = start; page < end; page += PAGE_SIZE) this.#frames.delete(page);
    this.monitor.changed(start, end);
  }

  /** The frames of the pages that hold `[start, end)`; 0 where nothing is mapped. */
  frames(start: number, end: number): number[] {
    return pagesOf(start, end).map((page) => this.#frames.get(page) ?? 0);
  }
}

function pagesOf(start: number, end: number): number[] {
  const pages: number[] = [];
  for (let page = start - (start % PAGE_SIZE); page < end; page += PAGE_SIZE) pages.push(page);
  return pages;
}

interface Watch {
  slot: number;
  start: number;
  end: number;
  pending: boolean;
}

export class ModelMonitor implements MemoryMonitor {
  readonly kind = 'model';
  readonly counter = new Int32Array(2);
  /** Set before the cache is made for a monitor that has generation words. */
  generations: Int32Array | undefined;
  readonly watches = new Map<number, Watch>();
  closed = false;
  /** Drains end without a LAST, as on a driver that lost it. */
  losesLast = false;
  /** Called before each watch; may throw, or change mappings. */
  beforeWatch: (() => void) | undefined;
  /** Whether pages are beyond what it can see. */
  cannotWatch: ((start: number, end: number) => boolean) | undefined;
  afterWatch: (() => void) | undefined;
  beforeUnwatch: (() => void) | undefined;
  /** Called before each drain; may throw. */
  beforeDrain: (() => void) | undefined;
  /** Called in a drain after each event that was delivered. */
  afterEvent: (() => void) | undefined;
  /** Called in a drain when nothing is pending any more, before the cache hears up to where it was drained. */
  afterLast: (() => void) | undefined;
  #pending: number[] = [];
  #last = false;
  #onPending: (() => void) | undefined;

  watch(start: number, end: number, cookie: number, slot: number): boolean {
    this.beforeWatch?.();
    if (this.cannotWatch?.(start, end)) return false;
    if (this.watches.has(cookie)) throw systemError(constants.errno.EINVAL, 'watch');
    this.watches.set(cookie, { start, end, slot, pending: false });
    this.afterWatch?.();
    return true;
  }

  unwatch(cookie: number): void {
    this.beforeUnwatch?.();
    if (!this.watches.delete(cookie)) throw systemError(constants.errno.EINVAL, 'unwatch');
    this.#pending = this.#pending.filter((other) => other !== cookie);
  }

  changed(start: number, end: number): void {
    let hit = false;
    for (const [cookie, watch] of this.watches) {
      if (watch.start >= end || watch.end <= start) continue;
      if (this.generations !== undefined && watch.slot < this.generations.length) {
        this.generations[watch.slot] += 1;
      }
      if (watch.pending) continue;
      watch.pending = true;
      this.#pending.push(cookie);
      hit = true;
    }
    if (!hit) return;
    this.#last = true;
    this.counter[0] += 1;
    if (this.counter[0] === 0) this.counter[1] += 1;
    this.#onPending?.();
  }

  /** An event for a cookie, whether it is watched or not. */
  inject(cookie: number): void {
    this.#pending.push(cookie);
    this.#last = true;
    this.counter[0] += 1;
  }

  drain(sink: DrainSink): void {
    this.beforeDrain?.();
    let low = this.counter[0];
    let high = this.counter[1];
    for (let cookie = this.#pending.shift(); cookie !== undefined; cookie = this.#pending.shift()) {
      const watch = this.watches.get(cookie);
      if (watch !== undefined) watch.pending = false;
      sink.invalidated(cookie, watch?.start ?? 0, watch?.end ?? 0);
      this.afterEvent?.();
    }
    if (this.#last && !this.losesLast) [low, high] = this.counter;
    this.#last = false;
    this.afterLast?.();
    sink.drainedTo(low, high);
  }

  whenPending(callback: () => void): () => void {
    const call = (): void => {
      if (this.#onPending === schedule) callback();
    };
    const schedule = (): void => void setImmediate(call);
    this.#onPending = schedule;
    return () => (this.#onPending = undefined);
  }

  close(): void {
    this.closed = true;
  }
}

export interface ModelRegion {
  start: number;
  end: number;
  access: number;
  key: number;
  /** What the addresses mapped to when it was pinned. */
  frames: number[];
}

/** A call that another thread is to make. */
export interface ModelCall {
  readonly name: 'prefault' | 'register' | 'deregister';
  /** Let it be made. */
  go(): void;
}

export class ModelRegistrar implements Registrar<ModelRegion> {
  readonly kind = 'model';
  readonly pinned = new Set<ModelRegion>();
  /** Every registration made, in order. */
  readonly history: ModelRegion[] = [];
  /** Called before each registration pins its frames; may throw, or change mappings. */
  beforeRegister: ((start: number, end: number) => void) | undefined;
  afterRegister: (() => void) | undefined;
  /** Called before a key is told; may throw. */
  beforeKey: (() => void) | undefined;
  beforeDeregister: ((region: ModelRegion) => void) | undefined;
  /** What other threads are to do, oldest first. Nothing goes on by itself; see {@link go}. */
  readonly calls: ModelCall[] = [];
  readonly #space: AddressSpace;
  #nextKey = 1;

  constructor(space: AddressSpace) {
    this.#space = space;
  }

  prefault(start: number, length: number, write: boolean): void {
    if (this.#space.frames(start, start + length).includes(0)) {
      throw regcacheError('ERR_NOT_MAPPED', 'not mapped', {
        errno: constants.errno.ENOMEM,
        address: start,
        length,
      });
    }
    if (write && !this.#space.isWritable(start, start + length)) {
      throw regcacheError('ERR_READ_ONLY_MEMORY', 'mapped read-only', {
        errno: constants.errno.EACCES,
        address: start,
        length,
      });
    }
  }

  register(start: number, length: number, access: number): ModelRegion {
    this.beforeRegister?.(start, start + length);
    const frames = this.#space.frames(start, start + length);
    if (frames.includes(0)) {
      throw regcacheError('ERR_NOT_MAPPED', 'not mapped', {
        errno: constants.errno.EFAULT,
        address: start,
        length,
      });
    }
    if ((access & Access.LOCAL_WRITE) !== 0 && !this.#space.isWritable(start, start + length)) {
      throw systemError(constants.errno.EFAULT, 'register');
    }
    const region = { start, end: start + length, access, key: this.#nextKey++, frames };
    this.pinned.add(region);
    this.history.push(region);
    this.afterRegister?.();
    return region;
  }

  deregister(region: ModelRegion): void {
    this.beforeDeregister?.(region);
    if (!this.pinned.delete(region)) throw new Error('deregistered twice');
  }

  prefaultAsync(start: number, length: number, write: boolean): Promise<void> {
    return this.#call('prefault', () => {
      this.prefault(start, length, write);
    });
  }

  registerAsync(start: number, length: number, access: number): Promise<ModelRegion> {
    return this.#call('register', () => this.register(start, length, access));
  }

  deregisterAsync(region: ModelRegion): Promise<void> {
    return this.#call('deregister', () => {
      this.deregister(region);
    });
  }

  async #call<T>(name: ModelCall['name'], make: () => T): Promise<T> {
    await new Promise<void>((go) => this.calls.push({ name, go }));
    return make();
  }

  /** Another thread makes the oldest call, and all that comes of it happens. */
  async go(): Promise<ModelCall['name'] | undefined> {
    const call = this.calls.shift();
    call?.go();
    await new Promise(setImmediate);
    return call?.name;
  }

  /** The other threads do all there is to do. @returns the names of the calls */
  async goOn(): Promise<ModelCall['name'][]> {
    const names: ModelCall['name'][] = [];
    await new Promise(setImmediate);
    for (let name = await this.go(); name !== undefined; name = await this.go()) names.push(name);
    return names;
  }

  lkey(region: ModelRegion): number {
    this.beforeKey?.();
    return region.key;
  }

  rkey(region: ModelRegion): number {
    return region.key;
  }

  /** The region behind an lkey. */
  byKey(key: number): ModelRegion {
    return this.history.find((region) => region.key === key)!;
  }
}
