import assert from 'node:assert/strict';
import koffi from 'koffi';
import { MADV_DONTNEED, madvise, MAP_ANONYMOUS, MAP_SHARED } from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { MADV_FREE, MADV_REMOVE, MREMAP_MAYMOVE, MREMAP_FIXED } from '../../bench/mapping-flags.js';

const libc = koffi.load(null);
type Call = (...args: number[]) => number;
const mremap = libc.func(
  'intptr_t mremap(uintptr_t address, size_t before, size_t after, int flags, uintptr_t target)',
) as Call;

const at = (address: number, page: number): number => address + page * PAGE_SIZE;
const succeed = (result: number): void => {
  assert.notEqual(result, -1);
};

function mremapTo(address: number, before: number, after: number): number {
  const place = mremap(address, before, after, MREMAP_MAYMOVE, 0);
  succeed(place);
  return place;
}

export interface Change {
  /** MAP_* bits of the memory that it is for; private anonymous when left out. */
  readonly flags?: number;
  /** Whether it leaves the addresses unmapped. */
  readonly unmaps?: boolean;
  /** Change what the second page of `address` maps to, and nothing else of its four pages but what is hit. */
  make(address: number): void;
  /** First page hit, and the page after the last; the second page alone when left out. */
  readonly hit?: readonly [first: number, end: number];
  /** Not for monitors that hook libc. */
  readonly kernelOnly?: boolean;
}

/** What a program can do to a mapping of four pages, through libc. */
export const CHANGES: Readonly<Record<string, Change>> = {
  munmap: {
    unmaps: true,
    make: (address) => {
      unmap(at(address, 1), PAGE_SIZE);
    },
  },
  'mmap over it': {
    make: (address) => map(PAGE_SIZE, { at: at(address, 1), replace: true }),
  },
  MADV_DONTNEED: {
    make: (address) => {
      succeed(madvise(at(address, 1), PAGE_SIZE, MADV_DONTNEED));
    },
  },
  MADV_FREE: {
    make: (address) => {
      succeed(madvise(at(address, 1), PAGE_SIZE, MADV_FREE));
    },
  },
  'MADV_DONTNEED of shared memory': {
    flags: MAP_SHARED | MAP_ANONYMOUS,
    make: (address) => {
      succeed(madvise(at(address, 1), PAGE_SIZE, MADV_DONTNEED));
    },
  },
  MADV_REMOVE: {
    flags: MAP_SHARED | MAP_ANONYMOUS,
    make: (address) => {
      succeed(madvise(at(address, 1), PAGE_SIZE, MADV_REMOVE));
    },
  },
  'mremap that has to move it to make it larger': {
    unmaps: true,
    make: (address) => {
      unmap(mremapTo(at(address, 1), PAGE_SIZE, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
    },
  },
  'mremap away from it': {
    // libucm 1.13 drops the last argument.
    kernelOnly: true,
    unmaps: true,
    make: (address) => {
      const target = map(PAGE_SIZE);
      succeed(mremap(at(address, 1), PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target));
      unmap(target, PAGE_SIZE);
    },
  },
  'mremap onto it': {
    kernelOnly: true,
    make: (address) => {
      const source = map(PAGE_SIZE);
      succeed(mremap(source, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, at(address, 1)));
    },
  },
  'mremap to a smaller size': {
    unmaps: true,
    hit: [1, 4],
    make: (address) => {
      succeed(mremap(address, 4 * PAGE_SIZE, PAGE_SIZE, 0, 0));
    },
  },
};
