import { EventEmitter } from 'node:events';
import { Access } from '../access.js';
import { ADDRESS_LIMIT, locate, type Location, type Memory } from '../memory/locate.js';
import type { LiveViews } from '../monitor/live-views.js';
import { PAGE_SIZE } from '../system/libc.js';
import type { Coverage } from './coverage.js';
import type { CacheEvents } from './events.js';
import { hasOneAddress } from './one-address.js';
import type { Entry, Registration } from './registration.js';
import type { Slots } from './slots.js';

// Constants of this module's own: what is imported or exported would be looked up and checked at each use (V8).
const LOCAL_WRITE = Access.LOCAL_WRITE;
const ADDRESSES = ADDRESS_LIMIT;
const PAGES_PER_BYTE = 1 / PAGE_SIZE;

/** On x86-64 loads are not reordered with loads; elsewhere the counter must be read with an acquiring load. */
const ORDERED_LOADS = process.arch === 'x64';

/** Compared instead of the counter to send every acquire the slow way; what is remembered of it is 0 then. */
const MOVED: Int32Array = Int32Array.of(1, 0);

/**
 * Where a typed array keeps the registration that it was given last, seen by nobody who does not look for it. To ask for
 * its address takes longer than all the rest of a hit.
 */
const LAST = Symbol('last registration');

/** Instead of memory where none is meant. */
const NOTHING = new ArrayBuffer(0);

interface Remembering {
  readonly length: number;
  [LAST]?: Entry;
}

/**
 * The way of an acquire that finds what it needs and that nobody has anything to report of: no system call, no call into
 * a library, nothing allocated. Anything else takes the slow way, which is elsewhere.
 */
export abstract class HitPath extends EventEmitter<CacheEvents> {
  readonly #writable: Coverage;
  readonly #slots: Slots;
  #counter = MOVED;
  /** The counter's value, in halves as the view shows it, up to which everything has been told. */
  #drainedLow = 0;
  #drainedHigh = 0;
  /** A word for each slot that changes when its registration is hit, if the monitor has them. */
  #generations: Int32Array | undefined;
  #hits = 0;
  readonly #here: Location = { address: 0, length: 0 };
  readonly #range: [number, number, number, undefined] = [0, 0, 0, undefined];
  readonly #located: [Memory, number] = [NOTHING, 0];

  /** @param writable registrations with LOCAL_WRITE alone: what is served here */
  constructor(writable: Coverage, slots: Slots) {
    super();
    this.#writable = writable;
    this.#slots = slots;
  }

  /**
   * A registration of the memory, to be released once.
   * @param access bits of Access: LOCAL_WRITE unless told otherwise, NONE for memory that is only read. With remote
   *   rights it covers exactly these bytes and, unless the cache keeps remote registrations, ends at the last release.
   * @throws ERR_NOT_MEMORY, ERR_DETACHED_BUFFER, ERR_INVALID_LENGTH, ERR_INVALID_ACCESS, ERR_NOT_MAPPED,
   *   ERR_READ_ONLY_MEMORY, ERR_REGISTRATION_FAILED, ERR_MEMLOCK_LIMIT, ERR_MAPPING_UNSTABLE, ERR_CLOSED,
   *   ERR_STALE_REGISTRATION in checking mode, or what draining the monitor throws
   */
  acquire(memory: Memory, access: number = LOCAL_WRITE): Registration {
    if (access === LOCAL_WRITE && ArrayBuffer.isView(memory)) {
      const entry = (memory as Partial<Remembering>)[LAST];
      // What is not retired covers what it covered, and the array has the bytes that it had unless it has none any more:
      // they went elsewhere with their buffer. (`byteLength` says the same, ten times as slowly.)
      if (
        entry !== undefined &&
        (entry.keeper as unknown) === this &&
        !entry.retired &&
        (memory as unknown as Remembering).length !== 0 &&
        this.#isCurrent(entry)
      ) {
        this.#hits++;
        entry.useFor(memory);
        return entry;
      }
    }
    return this.#locateFirst(memory, access);
  }

  #acquireLocated(memory: Memory, access: number): Registration {
    // What it holds would not be collected.
    this.#located[0] = NOTHING;
    locate(memory, this.#here);
    const { address, length } = this.#here;
    if (access === LOCAL_WRITE) {
      const entry = this.#writable.find(address, address + length);
      if (entry !== undefined && this.#isCurrent(entry)) {
        this.#hits++;
        entry.useFor(memory);
        this.#remember(memory, entry);
        return entry;
      }
    }
    return this.acquireSlowly(address, length, access, memory);
  }

  #remember(memory: Memory, entry: Entry): void {
    if (!hasOneAddress(memory)) return;
    const remembering = memory as Partial<Remembering>;
    if (remembering[LAST] === undefined)
      Object.defineProperty(memory, LAST, { value: entry, writable: true });
    else remembering[LAST] = entry;
  }

  /**
   * The same for a raw address. Unsafe in so far as nothing keeps the memory mapped: the caller must, until the release.
   * @param address first byte
   * @param length bytes
   * @throws ERR_INVALID_ADDRESS and what {@link acquire} throws
   */
  acquireRange(address: number, length: number, access: number = LOCAL_WRITE): Registration {
    if (
      access === LOCAL_WRITE &&
      typeof address === 'number' &&
      typeof length === 'number' &&
      address > 0 &&
      address < ADDRESSES &&
      Math.floor(address) === address &&
      length > 0 &&
      (length | 0) === length
    ) {
      const entry = this.#writable.quicklyAtPage(address * PAGES_PER_BYTE);
      if (entry !== undefined && entry.reaches(address, length) && this.#isCurrent(entry)) {
        this.#hits++;
        entry.use();
        return entry;
      }
    }
    return this.#goSlowly(address, length, access);
  }

  // What is not a quick hit is called with a list of arguments that was there before, through which V8 does not see whom
  // it calls with what. It would build the slow way into the quick one where it compiles that after many misses; the
  // quick one is then too large to be built into loops that call it, and each call makes an object of the address.

  #goSlowly(address: number, length: number, access: number): Registration {
    const range = this.#range;
    range[0] = address;
    range[1] = length;
    range[2] = access;
    // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on this
    return Reflect.apply(this.acquireSlowly, this, range);
  }

  #locateFirst(memory: Memory, access: number): Registration {
    const located = this.#located;
    located[0] = memory;
    located[1] = access;
    return Reflect.apply(this.#acquireLocated, this, located);
  }

  /** Whether the monitor has nothing new to report of an entry. Never true while acquires go the slow way. */
  #isCurrent(entry: Entry): boolean {
    const counter = this.#counter;
    // Low half first: the counter only rises, so a pair equal to the drained value was the value at the first load.
    const low = ORDERED_LOADS ? counter[0] : Atomics.load(counter, 0);
    const high = ORDERED_LOADS ? counter[1] : Atomics.load(counter, 1);
    return (low === this.#drainedLow && high === this.#drainedHigh) || this.#isUnhit(entry.slot);
  }

  /** Something was hit, but not this: its word, loaded after the counter, is the one it was watched with. */
  #isUnhit(slot: number): boolean {
    return loadWord(this.#generations, slot) === this.#slots.words[slot];
  }

  /**
   * Everything else: a miss, other rights, a monitor that has something to report, bad input.
   * @param owner undefined for a raw address, which has not been checked then
   */
  protected abstract acquireSlowly(
    address: number,
    length: number,
    access: number,
    owner: Memory | undefined,
  ): Registration;

  /** Serve hits here as long as the monitor's counter has this value, in halves, or the word of an entry has not moved. */
  protected serveHits({ counter, generations }: LiveViews, low: number, high: number): void {
    this.#counter = counter;
    this.#generations = generations;
    this.#drainedLow = low;
    this.#drainedHigh = high;
  }

  /** Let all acquires take the slow way, and touch nothing of the monitor's. */
  protected serveNone(): void {
    this.#counter = MOVED;
    this.#generations = undefined;
    this.#drainedLow = this.#drainedHigh = 0;
  }

  /** Acquires served here. */
  protected get hits(): number {
    return this.#hits;
  }
}

/** A word that the monitor writes, loaded before what is loaded later; NaN, which equals nothing, where there is none. */
export function loadWord(words: Int32Array | undefined, index: number): number {
  if (words === undefined || index >= words.length) return NaN;
  return ORDERED_LOADS ? words[index] : Atomics.load(words, index);
}
