import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressOf } from '../../src/memory/locate.js';
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED } from '../../src/system/libc.js';
import { bytesAt, map, type MapOptions, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { byLibc, free, malloc, raw, removeSegment, sbrk, shmget } from '../system-calls.js';
import { MADV_NOHUGEPAGE, MAP_HUGETLB } from '../mapping-flags.js';

/** Memory to change the mapping of; plain numbers, that another thread can be given. */
export interface Place {
  readonly address: number;
  /** Bytes; whole pages of the memory's kind. */
  readonly length: number;
  /** The file that is mapped; -1 for other memory. */
  readonly file: number;
}

/** How memory comes about, and goes. */
export interface Kind {
  make(): Place;
  end(place: Place): void;
}

/** What is sent of each, from its beginning on. */
export const MESSAGE_BYTES = 4 * PAGE_SIZE;
/** So many that most of them are on the kernel's lists, and not on their way there (PAGEVEC_SIZE). */
const MANY_PAGES = 64 * PAGE_SIZE;
export const HUGE_PAGE = 2 ** 21;
const MADV_HUGEPAGE = 14;
const MFD_HUGETLB = 4;

const unmapAll = ({ address, length }: Place): void => {
  unmap(address, length);
};

const mapped = (flags: number, length = MESSAGE_BYTES): Kind => ({
  make: () => ({ address: map(length, { flags: flags | MAP_ANONYMOUS }), length, file: -1 }),
  end: unmapAll,
});

function mappedFile(flags: number, open: () => number, length = MESSAGE_BYTES): Kind {
  return {
    make() {
      const file = open();
      raw('ftruncate', file, length);
      const options: MapOptions = { flags, fd: file };
      return { address: map(length, options), length, file };
    },
    end(place) {
      unmapAll(place);
      closeSync(place.file);
    },
  };
}

const memfd = (flags = 0): number => raw('memfd_create', addressOf(NAME), flags);
const NAME = Buffer.from('coverage\0');

/** A file that has lost its name, on whatever file system temporary files are. */
function namelessFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'regcache-coverage-'));
  try {
    return openSync(join(folder, 'file'), 'w+');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const PRIVATE = mapped(MAP_PRIVATE);
export const SHARED = mapped(MAP_SHARED);
export const MEMFD = mappedFile(MAP_SHARED, memfd);
export const MEMFD_PRIVATE = mappedFile(MAP_PRIVATE, memfd);
export const FILE = mappedFile(MAP_SHARED, namelessFile);
export const FILE_PRIVATE = mappedFile(MAP_PRIVATE, namelessFile);
export const HUGETLB = mapped(MAP_PRIVATE | MAP_HUGETLB, HUGE_PAGE);
export const HUGETLB_MEMFD = mappedFile(MAP_SHARED, () => memfd(MFD_HUGETLB), HUGE_PAGE);

/** Pages that are all there, and only the first few are sent. */
const filled = (flags: number): Kind => ({
  make() {
    const place = mapped(flags, MANY_PAGES).make();
    // Small ones, as what is not sent has to be other pages.
    byLibc('madvise', place.address, MANY_PAGES, MADV_NOHUGEPAGE);
    bytesAt(place.address, MANY_PAGES).fill('other content; ');
    return place;
  },
  end: unmapAll,
});

export const MANY = filled(MAP_PRIVATE);
export const MANY_SHARED = filled(MAP_SHARED);

/** A transparent huge page. */
export const THP: Kind = {
  make() {
    const around = map(2 * HUGE_PAGE);
    const address = Math.ceil(around / HUGE_PAGE) * HUGE_PAGE;
    if (address > around) unmap(around, address - around);
    const rest = around + HUGE_PAGE - address;
    if (rest > 0) unmap(address + HUGE_PAGE, rest);
    byLibc('madvise', address, HUGE_PAGE, MADV_HUGEPAGE);
    return { address, length: HUGE_PAGE, file: -1 };
  },
  end: unmapAll,
};

/** A System V segment. */
export const SEGMENT: Kind = {
  make() {
    const segment = shmget(MESSAGE_BYTES);
    try {
      return { address: byLibc('shmat', segment, 0, 0), length: MESSAGE_BYTES, file: -1 };
    } finally {
      // It lives on until nobody has it attached.
      removeSegment(segment);
    }
  },
  // Whatever is there by now.
  end: unmapAll,
};

/** The end of the heap. What somebody has put behind it meanwhile must stay, and then it stays as it is. */
export const HEAP: Kind = {
  make() {
    const end = sbrk(0);
    sbrk((Math.ceil(end / PAGE_SIZE) + 4) * PAGE_SIZE - end);
    return { address: sbrk(0) - MESSAGE_BYTES, length: MESSAGE_BYTES, file: -1 };
  },
  end({ address, length }) {
    if (sbrk(0) === address + length) sbrk(-length);
  },
};

/** So much that malloc(3) makes a mapping of it, always (DEFAULT_MMAP_THRESHOLD_MAX), if the heap has no room for it. */
export const ALLOCATED = 33 * 2 ** 20;

/**
 * What malloc reads when a process starts (mallopt(3)). It takes several times the heap that a trial needs, at once, so
 * that it does not move the end of the heap afterwards: any thread, and this one between two calls, might otherwise
 * allocate what the changes of {@link HEAP} cut off. But less than {@link ALLOCATED}.
 */
export const HEAP_SETTINGS = {
  MALLOC_TOP_PAD_: String(24 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(2 ** 30),
};

/** The beginning of an allocation. */
export const MALLOC: Kind = {
  make: () => ({ address: malloc(ALLOCATED), length: MESSAGE_BYTES, file: -1 }),
  end: ({ address }) => {
    free(address);
  },
};
