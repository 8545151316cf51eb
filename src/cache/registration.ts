import { inspect } from 'node:util';
import { REMOTE_ACCESS } from '../access.js';
import { regcacheError } from '../errors.js';
import { factsOf, jsonOf, readableFactsOf, showFacts, type Stylizing } from '../inspection.js';
import type { Memory } from '../memory/locate.js';
import { PAGE_SIZE } from '../system/libc.js';
import { Owners } from './owners.js';

/** Memory that is pinned and visible to the device, held until its release. */
export interface Registration extends Disposable {
  /** First byte covered. */
  readonly address: number;
  /** Bytes covered: whole pages for local access, exactly what was asked for when a peer may reach it. */
  readonly length: number;
  /** Key for scatter/gather entries of this process's own work requests. */
  readonly lkey: number;
  /** Key to give to the peer; of use only with remote access. */
  readonly rkey: number;
  /** Bits of Access. */
  readonly access: number;
  /** True once the addresses map to other pages than those pinned. It is never handed out again. */
  readonly stale: boolean;
  /** Give it back; to be called once for every acquire. @throws ERR_DOUBLE_RELEASE */
  release(): void;
}

// What is known of an entry, in bits that no right of access has: both are in one word.

/** Out of lookup: deregistered at the last release. */
export const RETIRED = 1 << 8;
/** Retired because the mapping changed. */
export const STALE = 1 << 9;
/** Not in the eviction order, to be put back at the last release. */
export const UNLISTED = 1 << 10;
/** Deregistered at the last release although nothing is wrong with it. */
export const NOT_KEPT = 1 << 11;
/** Being made: watched, in no table yet. */
export const PENDING = 1 << 12;
/** For one acquire only: in no table. */
export const UNCACHED = 1 << 13;
/** The monitor watches its range. */
export const WATCHED = 1 << 14;
/** It is registered at the device. */
export const REGISTERED = 1 << 15;

/** The bits of Access that a registration can have. */
const ACCESS = ~0x000f_ff00;

/** Whether a registration serves requests for any part of it: none that a peer can reach does, nor one for one acquire. */
export const servesParts = (access: number, flags: number): boolean =>
  (access & REMOTE_ACCESS) === 0 && (flags & UNCACHED) === 0;

// Constants of this module's own, as in hit.ts.
const PAGES_PER_BYTE = 1 / PAGE_SIZE;
const PAGE_BITS = Math.log2(PAGE_SIZE);
const BYTE_IN_PAGE = PAGE_SIZE - 1;

/** Any of them sends the last release to the keeper. */
const AT_LAST_RELEASE = RETIRED | UNLISTED | NOT_KEPT;

// The one word that acquires and releases look at and change: counted in it are those that have not been released.

/** Used since the evictor last looked: a second chance. */
const MARKED = 1;
/** The last release goes to the keeper. */
const TOLD = 1 << 1;
/** Somebody's memory is kept alive. */
const OWNED = 1 << 2;
/** Out of lookup. */
const OUT = 1 << 3;
const USE = 1 << 4;
const USE_BITS = 4;

/** The cache that an entry belongs to. */
export interface Keeper {
  /** It is idle again, and there is something to do for it. */
  lastRelease(entry: Entry): void;
  /** Its mapping changed. */
  invalidated(entry: Entry): void;
  /** It is neither watched nor pinned any more. */
  gone(entry: Entry): void;
}

/**
 * A registration as the cache sees it. There may be millions, and a hit touches one that no processor has near: what a
 * hit needs comes first, and numbers too large for a small integer, which are objects of their own, are few.
 */
export class Entry implements Registration {
  // In the order in which a hit by typed array needs them: with each further word another cache line is more likely.
  #state = 0;
  readonly keeper: Keeper;
  /** Keeps the memory from being collected, and so unmapped, while the registration is in use. */
  #owner: Memory | Owners | undefined = undefined;
  /** The low 32 bits of the number of the page after its last: a small integer, unlike an address. */
  readonly endPage: number;
  #flags = 0;
  #lkey = 0;
  #rkey = 0;
  readonly slot: number;
  /** The bits from 32 on of the number of its first page, times 2^16, and where in that page it starts. */
  readonly #rest: number;
  /** Bytes. */
  readonly length: number;
  region: unknown = undefined;

  constructor(keeper: Keeper, start: number, end: number, access: number, slot: number) {
    this.#flags = PENDING | access;
    this.endPage = Math.ceil(end * PAGES_PER_BYTE) | 0;
    const page = Math.floor(start * PAGES_PER_BYTE);
    this.#rest = Math.floor(page / 2 ** 32) * 2 ** 16 + ((start - page * PAGE_SIZE) | 0);
    this.keeper = keeper;
    const length = end - start;
    // Not as it comes: the difference of two large numbers stays an object of its own, however small it is (V8).
    this.length = (length | 0) === length ? length | 0 : length;
    this.slot = slot;
  }

  /**
   * First byte. Kept in parts, for which there is room: a number of this size is an object of its own, which a
   * registration would take a sixth of its memory for, and the collector as much of its time.
   */
  get start(): number {
    const page = (this.#rest >>> 16) * 2 ** 32 + ((this.endPage - this.pages) >>> 0);
    return page * PAGE_SIZE + (this.#rest & 0xffff);
  }

  /** Pages with at least a byte of it. */
  get pages(): number {
    return Math.ceil(((this.#rest & 0xffff) + this.length) * PAGES_PER_BYTE);
  }

  get address(): number {
    return this.start;
  }

  /** Whether it covers so many bytes, less than 2^31, from an address in one of its pages on. */
  reaches(address: number, length: number): boolean {
    const page = (address * PAGES_PER_BYTE) | 0;
    // Of the numbers of pages the low 32 bits do: what is covered may seem shorter than it is, never longer.
    const pagesAfter = ((address & BYTE_IN_PAGE) + (length - 1)) >>> PAGE_BITS;
    return pagesAfter < (this.endPage - page) >>> 0;
  }

  /** Exclusive. */
  get end(): number {
    return this.start + this.length;
  }

  get access(): number {
    return this.flags & ACCESS;
  }

  // Kept signed: half of all keys are no small integers otherwise.
  get lkey(): number {
    return this.#lkey >>> 0;
  }

  get rkey(): number {
    return this.#rkey >>> 0;
  }

  setKeys(lkey: number, rkey: number): void {
    this.#lkey = lkey | 0;
    this.#rkey = rkey | 0;
  }

  get stale(): boolean {
    return (this.flags & STALE) !== 0;
  }

  /** The bits above, and those of Access. */
  get flags(): number {
    return this.#flags;
  }

  set flags(flags: number) {
    this.#flags = flags;
    const state = this.#state & ~(TOLD | OUT);
    const told = (flags & AT_LAST_RELEASE) === 0 ? 0 : TOLD;
    this.#state = state | told | ((flags & RETIRED) === 0 ? 0 : OUT);
  }

  get retired(): boolean {
    return (this.#state & OUT) !== 0;
  }

  /** Acquires less releases. */
  get uses(): number {
    return this.#state >> USE_BITS;
  }

  get marked(): boolean {
    return (this.#state & MARKED) !== 0;
  }

  unmark(): void {
    this.#state &= ~MARKED;
  }

  /** Count another use, of raw addresses. */
  use(): void {
    this.#state = (this.#state + USE) | MARKED;
  }

  /** Count another use by `owner`. */
  useFor(owner: Memory | undefined): void {
    if (owner === undefined) {
      this.use();
      return;
    }
    const state = this.#state;
    this.#state = (state + USE) | (MARKED | OWNED);
    if ((state & OWNED) === 0) this.#owner = owner;
    else if (this.#owner !== owner) {
      if (this.#owner instanceof Owners) this.#owner.add(owner);
      else this.#owner = new Owners(this.#owner!, owner);
    }
  }

  release(): void {
    const left = this.#state - USE;
    if (left < 0) refuseRelease(this);
    this.#state = left;
    if (left < USE && (left & (OWNED | TOLD)) !== 0) Entry.#letGo(this);
  }

  /** The rest of the last release. Static, since each object of a class with private methods bears a mark of them. */
  static #letGo(entry: Entry): void {
    const state = entry.#state;
    entry.#state = state & ~OWNED;
    entry.#owner = undefined;
    if ((state & TOLD) !== 0) entry.keeper.lastRelease(entry);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [inspect.custom](depth: number, options: Stylizing): string {
    return showFacts('Registration', () => readableFactsOf(this), depth, options);
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(() => factsOf(this));
  }
}

function refuseRelease({ start, length }: Entry): never {
  throw regcacheError(
    'ERR_DOUBLE_RELEASE',
    'the registration was released more often than it was acquired; release exactly once for each acquire',
    { address: start, length },
  );
}
