import { regcacheError } from '../errors.js';
import type { Memory } from '../memory/locate.js';

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

/** The cache that an entry belongs to. */
export interface Keeper {
  /** It is idle again, and one of its flags is set. */
  lastRelease(entry: Entry): void;
  /** Its mapping changed. */
  invalidated(entry: Entry): void;
  /** It is neither watched nor pinned any more. */
  gone(entry: Entry): void;
}

/** A registration as the cache sees it. Fields that a hit touches come first. */
export class Entry implements Registration {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly access: number;
  /** Acquires less releases. */
  uses = 0;
  /** Used since the evictor last looked: a second chance. */
  marked = false;
  /** The bits above; anything set sends the last release to the keeper. */
  flags = PENDING;
  /** The monitor's word for its slot when it was watched; NaN, never equal, where there is none. */
  generation = NaN;
  /** Keeps the memory from being collected, and so unmapped, while the registration is in use. */
  owner: Memory | undefined = undefined;
  /** More owners, when several objects lie in the same pages. */
  otherOwners: Set<object> | undefined = undefined;

  lkey = 0;
  rkey = 0;
  region: unknown = undefined;
  readonly slot: number;
  readonly cookie: number;
  watched = false;
  registered = false;
  /** Neighbours that share pages with this entry, by rising start. */
  previous: Entry | undefined = undefined;
  next: Entry | undefined = undefined;
  readonly #keeper: Keeper;

  constructor(keeper: Keeper, start: number, end: number, access: number, slot: number, cookie: number) {
    this.start = start;
    this.end = end;
    this.access = access;
    this.slot = slot;
    this.cookie = cookie;
    this.#keeper = keeper;
  }

  get address(): number {
    return this.start;
  }

  get length(): number {
    return this.end - this.start;
  }

  get stale(): boolean {
    return (this.flags & STALE) !== 0;
  }

  /** Count another use by `owner`. */
  use(owner: Memory | undefined): void {
    this.marked = true;
    if (this.uses++ === 0) this.owner = owner;
    else if (this.owner !== owner) this.#alsoOwnedBy(owner);
  }

  release(): void {
    if (this.uses === 0) this.#refuseRelease();
    if (--this.uses !== 0) return;
    this.owner = undefined;
    if (this.otherOwners !== undefined) this.otherOwners = undefined;
    if (this.flags !== 0) this.#keeper.lastRelease(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  belongsTo(keeper: Keeper): boolean {
    return this.#keeper === keeper;
  }

  invalidated(): void {
    this.#keeper.invalidated(this);
  }

  gone(): void {
    this.#keeper.gone(this);
  }

  #alsoOwnedBy(owner: Memory | undefined): void {
    if (owner === undefined) return;
    // The buffer, not the view: many views of a pooled buffer are one owner, so the set stays small.
    const buffer = ArrayBuffer.isView(owner) ? owner.buffer : owner;
    (this.otherOwners ??= new Set()).add(buffer);
  }

  #refuseRelease(): never {
    throw regcacheError(
      'ERR_DOUBLE_RELEASE',
      'the registration was released more often than it was acquired; release exactly once for each acquire',
      { address: this.start, length: this.length },
    );
  }
}
