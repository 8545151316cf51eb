/** The ways in which programs get memory for values, and give it back. */
import { addressOf } from '../../src/memory/locate.js';
import { pageCeil } from '../../src/memory/pages.js';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { map, unmap } from '../../src/system/mapping.js';
import { byLibc, type Caller, free, malloc, raw } from '../system-calls.js';
import type { MemoryName } from '../about/server.js';
import { MOST } from './requests.js';

export interface Block {
  readonly address: number;
  /** Bytes. */
  readonly length: number;
  /** What keeps it, where that is an object. */
  readonly owner?: Buffer;
}

export interface Allocator {
  allocate(length: number): Block;
  free(block: Block): void;
  /** Nothing that it allocated is used any more. */
  end(): void;
}

const nothing = (): void => undefined;

const byMalloc = (): Allocator => ({
  allocate: (length) => ({ address: malloc(length), length }),
  free: ({ address }) => {
    free(address);
  },
  end: nothing,
});

/** Freed by the garbage collector, some time later, on a thread of its own. */
const inBuffers = (): Allocator => ({
  allocate(length) {
    const owner = Buffer.allocUnsafeSlow(length);
    return { address: addressOf(owner), length, owner };
  },
  free: nothing,
  end: nothing,
});

/** One value here, the next one there. */
function inTurn(): Allocator {
  const [first, second] = [byMalloc(), inBuffers()];
  let turn = false;
  return {
    allocate(length) {
      turn = !turn;
      return (turn ? first : second).allocate(length);
    },
    free(block) {
      (block.owner === undefined ? first : second).free(block);
    },
    end: nothing,
  };
}

/** A mapping for each value. */
const mapped = (call: Caller): Allocator => ({
  allocate: (length) => ({
    address: call('mmap', 0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
    length,
  }),
  free({ address, length }) {
    call('munmap', address, length);
  },
  end: nothing,
});

/** One mapping with a place for each value; the pages of a place that is free go back to the kernel. */
function pooled(call: Caller, values: number): Allocator {
  const all = values * MOST;
  const start = map(all, { flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE });
  const places = Array.from({ length: values }, (_, n) => start + n * MOST);
  return {
    allocate: (length) => ({ address: places.pop()!, length }),
    free({ address, length }) {
      call('madvise', address, pageCeil(length), MADV_DONTNEED);
      places.push(address);
    },
    end() {
      unmap(start, all);
    },
  };
}

/** By name; each takes how many values there are at most. */
export const ALLOCATORS: Readonly<Record<MemoryName, (values: number) => Allocator>> = {
  'malloc + Buffers': inTurn,
  malloc: byMalloc,
  Buffers: inBuffers,
  'mmap, libc': () => mapped(byLibc),
  'mmap, raw': () => mapped(raw),
  'MADV_DONTNEED, libc': (values) => pooled(byLibc, values),
  'MADV_DONTNEED, raw': (values) => pooled(raw, values),
};
