import { regcacheError } from '../errors.js';
import type { Memory } from '../memory/locate.js';
import { PAGES_PER_BYTE } from '../memory/pages.js';

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

/** Out of lookup: deregistered at the last release. */
export const RETIRED = 1;
/** Retired because the mapping changed. */
export const STALE = 2;
/** Not in the eviction order, to be put back at the last release. */
export const UNLISTED = 4;
/** Deregistered at the last release although nothing is wrong with it. */
export const NOT_KEPT = 8;
/** Being made: watched, in no table yet. */
export const PENDING = 16;
/** For one acquire only: in no table. */
export const UNCACHED = 32;
/** Used since the evictor last looked: a second chance. */
export const MARKED = 64;
/** The monitor watches its range. */
export const WATCHED = 128;
/** It is registered at the device. */
export const REGISTERED = 256;

/** What is kept of a page number where it must be a small integer, which has 32 bits with its sign. */
export const LOW_BITS = 0x7fff_ffff;

/** Not in the order of eviction. */
export const NOWHERE = -1;

/** Any of them sends the last release to the keeper. */
const AT_LAST_RELEASE = RETIRED | UNLISTED | NOT_KEPT;

/** The cache that an entry belongs to. */
export interface Keeper {
  /** It is idle again, and there is something to do for it. */
  lastRelease(entry: Entry): void;
  /** Its mapping changed. */
  invalidated(entry: Entry): void;
  /** It is neither watched nor pinned any more. */
  gone(entry: Entry): void;
}

/** More owners than one, when several objects lie in the same pages. */
class Owners {
  readonly #first: Memory | undefined;
  readonly #others = new Set<object>();

  constructor(first: Memory | undefined) {
    this.#first = first;
  }

  add(owner: Memory): void {
    if (owner === this.#first) return;
    // The buffer, not the view: many views of a pooled buffer are one owner, so the set stays small.
    this.#others.add(ArrayBuffer.isView(owner) ? owner.buffer : owner);
  }
}

/**
 * A registration as the cache sees it. There may be millions, and a hit touches one that no processor has near: what a
 * hit needs comes first, and numbers too large for a small integer, which are objects of their own, are few.
 */
export class Entry implements Registration {
  /** Acquires less releases. */
  uses = 0;
  /** The bits above. */
  flags = PENDING;
  /** The lowest bits of the number of the page after its last: a small integer, unlike an address. */
  readonly endPage: number;
  /** Keeps the memory from being collected, and so unmapped, while the registration is in use. */
  #owner: Memory | Owners | undefined = undefined;
  readonly keeper: Keeper;
  #lkey = 0;
  #rkey = 0;
  readonly access: number;
  readonly slot: number;
  /** First byte. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  region: unknown = undefined;
  /** Its place in the order of eviction. */
  place = NOWHERE;
  /** Neighbours that share pages with this entry, by rising start. */
  previous: Entry | undefined = undefined;
  next: Entry | undefined = undefined;

  constructor(keeper: Keeper, start: number, end: number, access: number, slot: number) {
    this.endPage = Math.ceil(end * PAGES_PER_BYTE) & LOW_BITS;
    this.keeper = keeper;
    this.start = start;
    this.length = end - start;
    this.access = access;
    this.slot = slot;
  }

  get address(): number {
    return this.start;
  }

  /** Exclusive. */
  get end(): number {
    return this.start + this.length;
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

  /** Count another use by `owner`. */
  use(owner: Memory | undefined): void {
    this.flags |= MARKED;
    if (this.uses++ === 0) this.#owner = owner;
    else if (this.#owner !== owner) this.#alsoOwnedBy(owner);
  }

  release(): void {
    if (this.uses === 0) this.#refuseRelease();
    if (--this.uses !== 0) return;
    this.#owner = undefined;
    if ((this.flags & AT_LAST_RELEASE) !== 0) this.keeper.lastRelease(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #alsoOwnedBy(owner: Memory | undefined): void {
    if (owner === undefined) return;
    if (!(this.#owner instanceof Owners)) this.#owner = new Owners(this.#owner);
    this.#owner.add(owner);
  }

  #refuseRelease(): never {
    throw regcacheError(
      'ERR_DOUBLE_RELEASE',
      'the registration was released more often than it was acquired; release exactly once for each acquire',
      { address: this.start, length: this.length },
    );
  }
}
