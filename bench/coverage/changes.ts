import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { RegcacheError, systemError } from '../../src/errors.js';
import { addressOf } from '../../src/memory/locate.js';
import {
  close,
  E,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  mprotect,
  PAGE_SIZE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { map, unmap } from '../../src/system/mapping.js';
import {
  byLibc,
  type Caller,
  endFork,
  forkIdle,
  free,
  malloc,
  raw,
  removeSegment,
  sbrk,
  shmget,
} from './calls.js';
import { madviseByRing } from './io-uring.js';
import * as kinds from './kinds-of-memory.js';
import type { Kind, Place } from './kinds-of-memory.js';

const MADV_FREE = 8;
const MADV_REMOVE = 9;
const MADV_PAGEOUT = 21;
const MADV_DONTNEED_LOCKED = 24;
const MADV_COLLAPSE = 25;
const MREMAP_MAYMOVE = 1;
const MREMAP_FIXED = 2;
const MREMAP_DONTUNMAP = 4;
const SHM_REMAP = 0o40000;
const PUNCH_HOLE = 1 | 2; // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

export const ACTORS = ['same thread', 'other thread', 'other process'] as const;
/** Who makes the change, as seen from the thread that has the cache. */
export type Actor = (typeof ACTORS)[number];

type Make = (place: Place) => void;

/** A way to change what a range maps to. Afterwards it is mapped again and can be written. */
export interface Change {
  readonly name: string;
  readonly kind: Kind;
  /** In this process, on any thread. */
  readonly make?: Make;
  /** By another process. */
  readonly makeOutside?: Make;
  /** Only on the thread that has the cache. */
  readonly alone?: boolean;
  /** Kernels may be without it. */
  readonly mayLack?: boolean;
  /** Once the bytes have been sent. */
  readonly after?: () => void;
}

const MAPPING = [PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS] as const;

/** Map where nothing is mapped: with it a call that did not do its work is noticed. */
function mapAgain({ address, length }: Place, call: Caller = byLibc): void {
  const [prot, flags] = MAPPING;
  const at = call('mmap', address, length, prot, flags | MAP_FIXED_NOREPLACE, -1, 0);
  if (at !== address) throw systemError(E.EEXIST, 'mmap');
}

const advise =
  (advice: number, call: Caller = byLibc): Make =>
  ({ address, length }) => {
    call('madvise', address, length, advice);
  };

/** What the kernel may refuse, because the pages are pinned or otherwise: then nothing has changed. */
const attempt =
  (make: Make): Make =>
  (place) => {
    try {
      make(place);
    } catch (error) {
      if (!(error instanceof RegcacheError)) throw error;
    }
  };

/** The same change through libc and past it. */
const bothWays = (
  name: string,
  kind: Kind,
  make: (call: Caller) => Make,
  more: Partial<Change> = {},
): Change[] => [
  { name, kind, make: make(byLibc), ...more },
  { name: `${name}, raw`, kind, make: make(raw), ...more },
];

const munmapAndMap =
  (call: Caller): Make =>
  (place) => {
    call('munmap', place.address, place.length);
    mapAgain(place, call);
  };

const mapOver =
  (call: Caller): Make =>
  ({ address, length }) => {
    const [prot, flags] = MAPPING;
    call('mmap', address, length, prot, flags | MAP_FIXED, -1, 0);
  };

const mremapAway =
  (call: Caller): Make =>
  (place) => {
    const { address, length } = place;
    const target = map(length);
    const at = call('mremap', address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    mapAgain(place);
    unmap(at, length);
  };

const mremapOnto =
  (call: Caller): Make =>
  ({ address, length }) => {
    const source = map(length);
    const at = call('mremap', source, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address);
    if (at !== address) throw systemError(E.EFAULT, 'mremap');
  };

const mremapLarger =
  (call: Caller): Make =>
  (place) => {
    const { address, length } = place;
    // Something has to be in its way.
    const mapped = mapIfFree(address + length);
    const at = call('mremap', address, length, length + PAGE_SIZE, MREMAP_MAYMOVE, 0);
    if (at === address) throw systemError(E.EEXIST, 'mremap');
    mapAgain(place);
    unmap(at, length + PAGE_SIZE);
    if (mapped) unmap(address + length, PAGE_SIZE);
  };

/** Whether nothing was mapped there. */
function mapIfFree(address: number): boolean {
  try {
    map(PAGE_SIZE, { at: address });
    return true;
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return false;
  }
}

const mremapSmaller =
  (call: Caller): Make =>
  ({ address, length }) => {
    const rest = { address: address + PAGE_SIZE, length: length - PAGE_SIZE, file: -1 };
    call('mremap', address, length, PAGE_SIZE, 0, 0);
    mapAgain(rest);
  };

const mremapLeaving =
  (call: Caller): Make =>
  ({ address, length }) => {
    unmap(call('mremap', address, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), length);
  };

const detach =
  (call: Caller): Make =>
  (place) => {
    call('shmdt', place.address);
    // The same segment would be the same pages.
    mapAgain(place);
  };

const attachOver =
  (call: Caller): Make =>
  ({ address, length }) => {
    const segment = shmget(length);
    try {
      call('shmat', segment, address, SHM_REMAP);
    } finally {
      removeSegment(segment);
    }
  };

/** The heap's end goes down and up again, if it still is where it was. */
const brkDownAndUp =
  (call: Caller): Make =>
  ({ address, length }) => {
    const isAt = (end: number): boolean => sbrk(0) === end;
    if (!isAt(address + length)) throw systemError(E.EBUSY, 'brk');
    call('brk', address);
    // The raw call has gone past libc's own idea of the end.
    byLibc('brk', address + length);
    if (!isAt(address + length)) throw systemError(E.ENOMEM, 'brk');
  };

const truncate: Make = ({ file, length }) => {
  raw('ftruncate', file, 0);
  raw('ftruncate', file, length);
};

const punch: Make = ({ file, length }) => {
  raw('fallocate', file, PUNCH_HOLE, 0, length);
};

const pathOf = (file: number): string => `/proc/${process.pid}/fd/${file}`;

/** Run a program to its end. */
function command(program: string, ...args: string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (error !== undefined) throw error;
  if (status !== 0) throw systemError(E.EIO, program);
}

const truncateOutside: Make = ({ file, length }) => {
  command('truncate', '-s', '0', pathOf(file));
  command('truncate', '-s', String(length), pathOf(file));
};

const punchOutside: Make = ({ file, length }) => {
  command('fallocate', '--punch-hole', '--offset', '0', '--length', String(length), pathOf(file));
};

const processMadvise: Make = ({ address, length }) => {
  const self = raw('pidfd_open', process.pid, 0);
  const range = Buffer.from(new BigUint64Array([BigInt(address), BigInt(length)]).buffer);
  try {
    raw('process_madvise', self, addressOf(range), 1, MADV_DONTNEED, 0);
  } finally {
    close(self);
  }
};

const withoutRights: Make = ({ address, length }) => {
  for (const prot of [PROT_NONE, PROT_READ | PROT_WRITE]) {
    if (mprotect(address, length, prot) !== 0) throw systemError(E.EACCES, 'mprotect');
  }
};

let forked = 0;

export const CHANGES: readonly Change[] = [
  ...bothWays('munmap + mmap', kinds.PRIVATE, munmapAndMap),
  ...bothWays('mmap over it', kinds.PRIVATE, mapOver),
  ...bothWays('MADV_DONTNEED', kinds.PRIVATE, (call) => advise(MADV_DONTNEED, call)),
  ...bothWays('MADV_FREE', kinds.PRIVATE, (call) => advise(MADV_FREE, call)),
  ...bothWays('MADV_REMOVE', kinds.SHARED, (call) => advise(MADV_REMOVE, call)),
  { name: 'MADV_DONTNEED, shared memory', kind: kinds.SHARED, make: advise(MADV_DONTNEED) },
  {
    name: 'MADV_DONTNEED_LOCKED',
    kind: kinds.PRIVATE,
    make: advise(MADV_DONTNEED_LOCKED),
    mayLack: true, // Linux 5.18
  },
  // Of these it could not be done to oneself before 6.13.
  { name: 'process_madvise', kind: kinds.PRIVATE, make: processMadvise, mayLack: true },
  {
    name: 'io_uring MADV_DONTNEED',
    kind: kinds.PRIVATE,
    make: ({ address, length }) => {
      madviseByRing(address, length, MADV_DONTNEED);
    },
    mayLack: true,
  },
  ...bothWays('mremap away + mmap', kinds.PRIVATE, mremapAway),
  ...bothWays('mremap onto it', kinds.PRIVATE, mremapOnto),
  ...bothWays('mremap larger + mmap', kinds.PRIVATE, mremapLarger),
  ...bothWays('mremap smaller + mmap', kinds.PRIVATE, mremapSmaller),
  ...bothWays('mremap DONTUNMAP', kinds.PRIVATE, mremapLeaving),
  ...bothWays('shmdt + mmap', kinds.SEGMENT, detach),
  ...bothWays('shmat SHM_REMAP over it', kinds.SEGMENT, attachOver),
  ...bothWays('brk', kinds.HEAP, brkDownAndUp, { alone: true }),
  {
    name: 'free + malloc',
    kind: kinds.MALLOC,
    make: ({ address }) => {
      free(address);
      if (malloc(kinds.ALLOCATED) !== address) throw systemError(E.EBUSY, 'malloc');
    },
    alone: true,
  },
  {
    name: 'remap_file_pages',
    kind: kinds.MEMFD,
    make: ({ address }) => {
      raw('remap_file_pages', address, PAGE_SIZE, 0, 2, 0);
    },
    mayLack: true,
  },
  { name: 'ftruncate, memfd', kind: kinds.MEMFD, make: truncate, makeOutside: truncateOutside },
  {
    name: 'ftruncate, memfd private',
    kind: kinds.MEMFD_PRIVATE,
    make: truncate,
    makeOutside: truncateOutside,
  },
  { name: 'ftruncate, file', kind: kinds.FILE, make: truncate, makeOutside: truncateOutside },
  { name: 'ftruncate, file private', kind: kinds.FILE_PRIVATE, make: truncate },
  { name: 'punch hole, memfd', kind: kinds.MEMFD, make: punch, makeOutside: punchOutside },
  { name: 'punch hole, memfd private', kind: kinds.MEMFD_PRIVATE, make: punch },
  { name: 'punch hole, file', kind: kinds.FILE, make: punch, mayLack: true },
  {
    name: 'munmap + mmap, hugetlb',
    kind: kinds.HUGETLB,
    make: munmapAndMap(byLibc),
    mayLack: true,
  },
  { name: 'MADV_DONTNEED, hugetlb', kind: kinds.HUGETLB, make: advise(MADV_DONTNEED), mayLack: true },
  {
    name: 'punch hole, hugetlb memfd',
    kind: kinds.HUGETLB_MEMFD,
    make: punch,
    mayLack: true,
  },
  { name: 'munmap + mmap, THP', kind: kinds.THP, make: munmapAndMap(byLibc) },
  {
    name: 'MADV_DONTNEED of a page, THP',
    kind: kinds.THP,
    make: ({ address, file }) => {
      advise(MADV_DONTNEED)({ address, length: PAGE_SIZE, file });
    },
  },
  { name: 'MADV_COLLAPSE (tried), THP', kind: kinds.THP, make: attempt(advise(MADV_COLLAPSE)) },
  { name: 'MADV_PAGEOUT (tried)', kind: kinds.PRIVATE, make: attempt(advise(MADV_PAGEOUT)) },
  {
    name: 'compaction (tried)',
    kind: kinds.PRIVATE,
    make: () => {
      writeFileSync('/proc/sys/vm/compact_memory', '1');
    },
    mayLack: true,
  },
  { name: 'mprotect to none and back', kind: kinds.PRIVATE, make: withoutRights },
  {
    name: 'fork, written while it lives',
    kind: kinds.PRIVATE,
    make: () => {
      forked = forkIdle();
    },
    alone: true,
    after: () => {
      // Process 0 would be this one and its parents.
      if (forked !== 0) endFork(forked);
      forked = 0;
    },
  },
  {
    name: 'exec in a child',
    kind: kinds.PRIVATE,
    make: () => {
      command('true');
    },
    alone: true,
  },
];

/** Who can make a change. */
export function actorsOf({ make, makeOutside, alone }: Change): Actor[] {
  const inside: Actor[] = make === undefined ? [] : alone ? ['same thread'] : ['same thread', 'other thread'];
  return makeOutside === undefined ? inside : [...inside, 'other process'];
}
