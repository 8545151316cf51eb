import { type Caller, byLibc, free, malloc, raw, removeSegment, shmget } from '../../bench/system-calls.js';
import * as kinds from '../../bench/coverage/kinds-of-memory.js';
import type { Kind, Place } from '../../bench/coverage/kinds-of-memory.js';
import { RegcacheError, systemError } from '../../src/errors.js';
import {
  E,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  mprotect,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { KINDS, LARGE } from './places.js';
import type { Random } from './random.js';
import {
  MADV_FREE,
  MADV_REMOVE,
  MADV_PAGEOUT,
  MADV_COLLAPSE,
  MAP_HUGETLB,
  MREMAP_MAYMOVE,
  MREMAP_FIXED,
  MREMAP_DONTUNMAP,
  SHM_REMAP,
} from '../../bench/mapping-flags.js';

// linux/falloc.h
const PUNCH_HOLE_KEEPING_SIZE = 3;

/** Whole pages of a place. */
interface Part {
  readonly address: number;
  readonly length: number;
  /** Where in the place. */
  readonly offset: number;
}

/** A way to change what a place, or a part of it, maps to. Afterwards all of it can be read and written again. */
interface Change {
  readonly name: string;
  readonly kinds: readonly Kind[];
  /** Of any pages of it; otherwise of the whole. */
  readonly partly?: boolean;
  /** The kernel may refuse it; then nothing has changed. */
  readonly mayFail?: boolean;
  /** Where the place is from now on, if it has moved. */
  make(part: Part, call: Caller, place: Place): number | undefined;
}

/** The kernel put something else where a part had been unmapped: another thread's. */
class Taken extends Error {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;

  constructor({ address, length }: Pick<Part, 'address' | 'length'>) {
    super('taken');
    this.start = address;
    this.end = address + length;
  }
}

const PROT = PROT_READ | PROT_WRITE;
const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS;

function mapAgain(hole: Pick<Part, 'address' | 'length'>, call: Caller): void {
  try {
    call('mmap', hole.address, hole.length, PROT, FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
  } catch (error) {
    if ((error as RegcacheError).errno === -E.EEXIST) throw new Taken(hole);
    throw error;
  }
}

function mapOver({ address, length }: Pick<Part, 'address' | 'length'>, call: Caller, flags = FLAGS): void {
  call('mmap', address, length, PROT, flags | MAP_FIXED, -1, 0);
}

const advise =
  (advice: number): Change['make'] =>
  ({ address, length }, call) => {
    call('madvise', address, length, advice);
    return undefined;
  };

const PAGES = [kinds.PRIVATE, LARGE, kinds.THP];
const FILES = [kinds.MEMFD, kinds.MEMFD_PRIVATE, kinds.FILE, kinds.FILE_PRIVATE];
const HUGE = [kinds.HUGETLB, kinds.HUGETLB_MEMFD];

const punch: Change['make'] = ({ offset, length }, _, { file }) => {
  raw('fallocate', file, PUNCH_HOLE_KEEPING_SIZE, offset, length);
  return undefined;
};

const truncate: Change['make'] = ({ offset }, _, { file, length }) => {
  raw('ftruncate', file, offset);
  raw('ftruncate', file, length);
  return undefined;
};

const CHANGES: readonly Change[] = [
  {
    name: 'munmap + mmap',
    kinds: PAGES,
    partly: true,
    make: (part, call) => {
      call('munmap', part.address, part.length);
      mapAgain(part, call);
      return undefined;
    },
  },
  {
    name: 'mmap over it',
    kinds: PAGES,
    partly: true,
    make: (part, call) => {
      mapOver(part, call);
      return undefined;
    },
  },
  {
    name: 'MADV_DONTNEED',
    kinds: [...PAGES, ...FILES, kinds.SHARED],
    partly: true,
    make: advise(MADV_DONTNEED),
  },
  { name: 'MADV_FREE', kinds: PAGES, partly: true, make: advise(MADV_FREE) },
  { name: 'MADV_REMOVE', kinds: [kinds.SHARED, kinds.MEMFD], partly: true, make: advise(MADV_REMOVE) },
  {
    name: 'MADV_PAGEOUT',
    kinds: [...PAGES, kinds.SHARED],
    partly: true,
    mayFail: true,
    make: advise(MADV_PAGEOUT),
  },
  { name: 'MADV_COLLAPSE', kinds: [kinds.THP], mayFail: true, make: advise(MADV_COLLAPSE) },
  {
    name: 'mremap away + mmap',
    kinds: PAGES,
    partly: true,
    make: (part, call) => {
      const { address, length } = part;
      const target = map(length);
      // Unmaps what is there also when it fails then (EFAULT): another thread may have mapped something there since.
      call('mremap', address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target);
      try {
        mapAgain(part, call);
      } finally {
        unmap(target, length);
      }
      return undefined;
    },
  },
  {
    name: 'mremap onto it',
    kinds: PAGES,
    partly: true,
    make: ({ address, length }, call) => {
      const source = map(length);
      call('mremap', source, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address);
      return undefined;
    },
  },
  {
    name: 'mremap larger, and back',
    kinds: PAGES,
    make: ({ address, length }, call) => {
      const moved = call('mremap', address, length, length + PAGE_SIZE, MREMAP_MAYMOVE, 0);
      return call('mremap', moved, length + PAGE_SIZE, length, 0, 0);
    },
  },
  {
    name: 'mremap smaller + mmap',
    kinds: PAGES,
    make: ({ address, length }, call) => {
      const half = length / 2;
      call('mremap', address, length, half, 0, 0);
      mapAgain({ address: address + half, length: half }, call);
      return undefined;
    },
  },
  {
    name: 'mremap DONTUNMAP',
    kinds: PAGES,
    partly: true,
    make: ({ address, length }, call) => {
      unmap(call('mremap', address, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), length);
      return undefined;
    },
  },
  {
    name: 'mprotect to none and back',
    kinds: [...PAGES, ...FILES, kinds.SHARED, kinds.SEGMENT],
    partly: true,
    make: ({ address, length }) => {
      for (const prot of [PROT_NONE, PROT])
        if (mprotect(address, length, prot) !== 0) throw systemError(E.EACCES, 'mprotect');
      return undefined;
    },
  },
  // File systems may be without it.
  { name: 'punch hole', kinds: FILES, partly: true, mayFail: true, make: punch },
  { name: 'punch hole, hugetlb', kinds: [kinds.HUGETLB_MEMFD], make: punch },
  { name: 'ftruncate', kinds: FILES, partly: true, make: truncate },
  { name: 'ftruncate, hugetlb', kinds: [kinds.HUGETLB_MEMFD], make: truncate },
  { name: 'MADV_DONTNEED, hugetlb', kinds: HUGE, make: advise(MADV_DONTNEED) },
  {
    name: 'mmap over it, hugetlb',
    kinds: [kinds.HUGETLB],
    make: (part, call) => {
      mapOver(part, call, FLAGS | MAP_HUGETLB);
      return undefined;
    },
  },
  {
    name: 'shmat over it',
    kinds: [kinds.SEGMENT],
    make: ({ address, length }, call) => {
      const segment = shmget(length);
      try {
        call('shmat', segment, address, SHM_REMAP);
      } finally {
        removeSegment(segment);
      }
      return undefined;
    },
  },
  {
    name: 'free + malloc',
    kinds: [kinds.MALLOC],
    make: ({ address }) => {
      free(address);
      return malloc(kinds.ALLOCATED);
    },
  },
];

/** What can be made of each kind. */
const OF_KIND: ReadonlyMap<Kind, readonly Change[]> = new Map(
  Object.values(KINDS).map((kind) => [kind, CHANGES.filter((change) => change.kinds.includes(kind))]),
);

export const ANEW = 'all unmapped, and mapped anew';
/** Another thread's mapping was in the way of the second half of a change. */
export const LOST = 'lost to another mapping, and mapped anew';

export const CHANGE_NAMES: readonly string[] = [...CHANGES.map(({ name }) => name), ANEW];

export interface Changed {
  /** What was done. */
  readonly name: string;
  /** Where it is now. */
  readonly place: Place;
}

/** Change a place in some way, by libc or past it. Nobody else may use it meanwhile. */
export function changeSomehow(kind: Kind, place: Place, random: Random): Changed {
  if (random.chance(0.05)) {
    kind.end(place);
    return { name: ANEW, place: kind.make() };
  }
  const change = random.pick(OF_KIND.get(kind)!);
  const call = random.chance(0.5) ? byLibc : raw;
  const part = change.partly ? somePages(place, random) : { ...place, offset: 0 };
  try {
    const moved = change.make(part, call, place);
    return { name: change.name, place: moved === undefined ? place : { ...place, address: moved } };
  } catch (error) {
    if (error instanceof Taken) return { name: LOST, place: replace(kind, place, error) };
    if (!(error instanceof RegcacheError)) throw error;
    if (change.name.startsWith('mremap') && error.errno === -E.EFAULT) {
      // Earlier changes have left several mappings, of which mremap(2) takes one only: make it one again.
      mapOver(place, call);
      return { name: 'mmap over it', place };
    }
    if (!change.mayFail) throw error;
    return { name: change.name, place };
  }
}

/** What is left of a place, of which a part belongs to somebody else now, makes way for another. */
function replace(kind: Kind, { address, length }: Place, taken: Taken): Place {
  if (taken.start > address) unmap(address, taken.start - address);
  if (taken.end < address + length) unmap(taken.end, address + length - taken.end);
  return kind.make();
}

function somePages({ address, length }: Place, random: Random): Part {
  const pages = length / PAGE_SIZE;
  const first = random.below(pages);
  const offset = first * PAGE_SIZE;
  return { address: address + offset, length: (1 + random.below(pages - first)) * PAGE_SIZE, offset };
}
