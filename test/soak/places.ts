import * as kinds from '../../bench/coverage/kinds-of-memory.js';
import type { Kind, Place } from '../../bench/coverage/kinds-of-memory.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';

/** Large enough to be registered and deregistered by another thread. */
export const LARGE: Kind = {
  make: () => ({ address: map(64 * PAGE_SIZE), length: 64 * PAGE_SIZE, file: -1 }),
  end: ({ address, length }) => {
    unmap(address, length);
  },
};

/** Not the heap's end: malloc, which all threads use, moves it at any time. */
export const KINDS: Readonly<Record<string, Kind>> = {
  private: kinds.PRIVATE,
  'private, large': LARGE,
  shared: kinds.SHARED,
  memfd: kinds.MEMFD,
  'memfd, private': kinds.MEMFD_PRIVATE,
  file: kinds.FILE,
  'file, private': kinds.FILE_PRIVATE,
  'System V': kinds.SEGMENT,
  malloc: kinds.MALLOC,
  'huge page, transparent': kinds.THP,
  hugetlb: kinds.HUGETLB,
  'hugetlb, memfd': kinds.HUGETLB_MEMFD,
};

const NAMES = Object.keys(KINDS);
const EACH = 3;

/**
 * Huge pages: those mapped, those that registrations still pin, and those that a forked child makes copies of. A process
 * that goes without one dies (SIGBUS).
 */
export const HUGE_PAGES = 40;

/** What all threads know of the places. */
export interface SharedPlaces {
  /** Address, length and file of each. */
  readonly numbers: Float64Array;
  /** 1: somebody changes or fills or compares it. */
  readonly locks: Int32Array;
}

/** Memory that all threads may change, send and receive. */
export class Places {
  static readonly count = NAMES.length * EACH;
  readonly shared: SharedPlaces;

  constructor(shared: SharedPlaces) {
    this.shared = shared;
  }

  /** Map them. */
  static make(): Places {
    const places = new Places({
      numbers: new Float64Array(new SharedArrayBuffer(Places.count * 3 * 8)),
      locks: new Int32Array(new SharedArrayBuffer(Places.count * 4)),
    });
    for (let n = 0; n < Places.count; n++) places.set(n, places.kindOf(n).make());
    return places;
  }

  end(): void {
    for (let n = 0; n < Places.count; n++) this.kindOf(n).end(this.get(n));
  }

  kindOf(n: number): Kind {
    return KINDS[this.nameOf(n)];
  }

  nameOf(n: number): string {
    return NAMES[n % NAMES.length];
  }

  /** Where it is; without the lock, where it was a moment ago. */
  get(n: number): Place {
    const [address, length, file] = this.shared.numbers.subarray(n * 3, n * 3 + 3);
    return { address, length, file };
  }

  /** Under the lock. */
  set(n: number, { address, length, file }: Place): void {
    this.shared.numbers.set([address, length, file], n * 3);
  }

  tryLock(n: number): boolean {
    return Atomics.compareExchange(this.shared.locks, n, 0, 1) === 0;
  }

  unlock(n: number): void {
    Atomics.store(this.shared.locks, n, 0);
  }
}
