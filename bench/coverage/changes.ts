import { execFileSync } from 'node:child_process';
import { MADV_DONTNEED, PAGE_SIZE, PROT_NONE, PROT_READ, PROT_WRITE } from '../../src/system/libc.js';
import { RegcacheError } from '../../src/errors.js';
import type { Calls } from '../system-calls.js';
import * as files from './files.js';
import { endFork, forkIdle } from './idle-process.js';
import { madviseByRing } from './io-uring.js';
import * as kernel from './kernel-moves.js';
import * as kinds from './kinds-of-memory.js';
import type { Kind, Place } from './kinds-of-memory.js';
import * as remapping from './remapping.js';
import type { Remap } from './remapping.js';
import { movePagesAway, movePagesOnto } from './userfaultfd.js';
import { MADV_FREE, MADV_REMOVE, MADV_DONTNEED_LOCKED, MADV_COLLAPSE } from '../mapping-flags.js';

/** Of this process, on the thread that has the cache and on others; and of others. */
export const ACTORS = ['same thread', 'thread', 'worker', 'child process', 'other process'] as const;
/**
 * Who makes the change: the thread that has the cache; another thread, a worker of Node's, or a child process that
 * shares the memory; or a process that has nothing but the file that is mapped.
 */
export type Actor = (typeof ACTORS)[number];

/** In this process or its child, whoever makes the calls. */
type Make = (place: Place, calls: Calls) => void;

/** A way to change what a range maps to. Afterwards it is mapped again and can be written. */
export interface Change {
  readonly name: string;
  readonly kind: Kind;
  readonly make: Make;
  /** By another process, which does not have the memory. */
  readonly makeOutside?: (place: Place, run: (...command: string[]) => void) => void;
  /** Only on the thread that has the cache. */
  readonly alone?: boolean;
  /** Kernels may be without it, or machines. */
  readonly mayLack?: boolean;
  /** Once the bytes have been sent. */
  readonly after?: () => void;
}

const advise =
  (advice: number): Make =>
  ({ address, length }, { libc }) => {
    libc('madvise', address, length, advice);
  };

/** What the kernel may refuse, because the pages are pinned or otherwise: then nothing has changed. */
const attempt =
  (make: Make): Make =>
  (place, calls) => {
    try {
      make(place, calls);
    } catch (error) {
      if (!(error instanceof RegcacheError)) throw error;
    }
  };

const byLibc =
  (remap: Remap): Make =>
  (place, { libc }) => {
    remap(place, libc);
  };

/** The same change through libc and past it. */
const bothWays = (name: string, kind: Kind, remap: Remap, more: Partial<Change> = {}): Change[] => [
  { name, kind, make: byLibc(remap), ...more },
  {
    name: `${name}, raw`,
    kind,
    make: (place, calls) => {
      remap(place, calls.raw);
    },
    ...more,
  },
];

const adviseBothWays = (name: string, kind: Kind, advice: number): Change[] =>
  bothWays(name, kind, ({ address, length }, call) => {
    call('madvise', address, length, advice);
  });

const withoutRights: Make = ({ address, length }, calls) => {
  for (const prot of [PROT_NONE, PROT_READ | PROT_WRITE]) calls.raw('mprotect', address, length, prot);
};

let forked = 0;

/** By what they are done with. */
export const GROUPS: Readonly<Record<string, readonly Change[]>> = {
  'private memory': [
    ...bothWays('munmap + mmap', kinds.PRIVATE, remapping.munmapAndMap),
    ...bothWays('mmap over it', kinds.PRIVATE, remapping.mapOver),
    ...adviseBothWays('MADV_DONTNEED', kinds.PRIVATE, MADV_DONTNEED),
    ...adviseBothWays('MADV_FREE', kinds.PRIVATE, MADV_FREE),
    {
      name: 'MADV_DONTNEED_LOCKED',
      kind: kinds.PRIVATE,
      make: advise(MADV_DONTNEED_LOCKED),
      mayLack: true, // Linux 5.18
    },
    {
      name: 'process_madvise DONTNEED',
      kind: kinds.PRIVATE,
      make: (place, calls) => {
        kernel.processMadvise(place, calls, MADV_DONTNEED);
      },
      mayLack: true, // Linux 6.13, and only to oneself
    },
    {
      name: 'io_uring MADV_DONTNEED',
      kind: kinds.PRIVATE,
      make: (place, calls) => {
        madviseByRing(place, calls, MADV_DONTNEED);
      },
      mayLack: true,
    },
    {
      name: 'free + malloc',
      kind: kinds.MALLOC,
      make: remapping.freeAndMalloc,
      alone: true,
    },
    ...bothWays('brk', kinds.HEAP, remapping.brkDownAndUp, { alone: true }),
    { name: 'mprotect to none and back', kind: kinds.PRIVATE, make: withoutRights },
  ],
  'moving memory': [
    ...bothWays('mremap away + mmap', kinds.PRIVATE, remapping.mremapAway),
    ...bothWays('mremap onto it', kinds.PRIVATE, remapping.mremapOnto),
    ...bothWays('mremap larger + mmap', kinds.PRIVATE, remapping.mremapLarger),
    ...bothWays('mremap smaller + mmap', kinds.PRIVATE, remapping.mremapSmaller),
    ...bothWays('mremap DONTUNMAP', kinds.PRIVATE, remapping.mremapLeaving),
    // Linux 6.8; and a range that is watched by one userfaultfd takes no other.
    { name: 'UFFDIO_MOVE away (tried)', kind: kinds.MANY, make: movePagesAway, mayLack: true },
    { name: 'UFFDIO_MOVE onto it', kind: kinds.PRIVATE, make: movePagesOnto, mayLack: true },
  ],
  'shared memory and files': [
    ...adviseBothWays('MADV_REMOVE', kinds.SHARED, MADV_REMOVE),
    { name: 'MADV_DONTNEED, shared memory', kind: kinds.SHARED, make: advise(MADV_DONTNEED) },
    ...bothWays('shmdt + mmap', kinds.SEGMENT, remapping.detach),
    ...bothWays('shmat SHM_REMAP over it', kinds.SEGMENT, remapping.attachOver),
    { name: 'remap_file_pages', kind: kinds.MEMFD, make: remapping.remapFilePages, mayLack: true },
    truncation('memfd', kinds.MEMFD),
    truncation('memfd private', kinds.MEMFD_PRIVATE),
    truncation('file', kinds.FILE),
    truncation('file private', kinds.FILE_PRIVATE),
    hole('memfd', kinds.MEMFD),
    hole('memfd private', kinds.MEMFD_PRIVATE),
    // Not every file system can.
    hole('file', kinds.FILE, true),
  ],
  'huge pages': [
    {
      name: 'munmap + mmap, hugetlb',
      kind: kinds.HUGETLB,
      make: byLibc(remapping.munmapAndMap),
      mayLack: true,
    },
    { name: 'MADV_DONTNEED, hugetlb', kind: kinds.HUGETLB, make: advise(MADV_DONTNEED), mayLack: true },
    hole('hugetlb memfd', kinds.HUGETLB_MEMFD, true),
    { name: 'munmap + mmap, THP', kind: kinds.THP, make: byLibc(remapping.munmapAndMap) },
    {
      name: 'MADV_DONTNEED of a page, THP',
      kind: kinds.THP,
      make: ({ address }, { libc }) => {
        libc('madvise', address, PAGE_SIZE, MADV_DONTNEED);
      },
    },
    { name: 'MADV_COLLAPSE (tried), THP', kind: kinds.THP, make: attempt(advise(MADV_COLLAPSE)) },
  ],
  'what the kernel does with pages': [
    { name: 'swap-out (tried)', kind: kinds.MANY, make: kernel.pageOut, mayLack: true },
    { name: 'swap-out, shared (tried)', kind: kinds.MANY_SHARED, make: kernel.pageOut, mayLack: true },
    {
      name: 'process_madvise PAGEOUT (tried)',
      kind: kinds.MANY,
      make: kernel.processPageOut,
      mayLack: true, // Linux 5.10
    },
    { name: 'KSM (tried)', kind: kinds.MANY, make: kernel.mergeSamePages, alone: true, mayLack: true },
    { name: 'compaction (tried)', kind: kinds.PRIVATE, make: kernel.compact, alone: true, mayLack: true },
    { name: 'move_pages (tried)', kind: kinds.MANY, make: kernel.movePages, mayLack: true },
    { name: 'migrate_pages (tried)', kind: kinds.MANY, make: kernel.migratePages, mayLack: true },
    { name: 'mbind (tried)', kind: kinds.MANY, make: kernel.bindToNode, mayLack: true },
  ],
  'child processes': [
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
        execFileSync('true');
      },
      alone: true,
    },
  ],
};

export const CHANGES: readonly Change[] = Object.values(GROUPS).flat();

function truncation(what: string, kind: Kind): Change {
  const [make, makeOutside] = [files.truncate, files.truncateOutside];
  return { name: `ftruncate, ${what}`, kind, make, makeOutside };
}

function hole(what: string, kind: Kind, mayLack = false): Change {
  const [make, makeOutside] = [files.punch, files.punchOutside];
  return { name: `punch hole, ${what}`, kind, make, makeOutside, mayLack };
}

/** Who can make a change. */
export function actorsOf({ makeOutside, alone }: Change): Actor[] {
  if (alone) return ['same thread'];
  return ACTORS.filter((actor) => actor !== 'other process' || makeOutside !== undefined);
}
