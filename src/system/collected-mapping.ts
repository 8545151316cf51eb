import koffi from 'koffi';
import { systemError } from '../errors.js';
import {
  E,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  PROT_READ,
} from './libc.js';

// TypeScript knows it only with a later library.
type ResizableBuffer = new (length: number, options: { maxByteLength: number }) => ArrayBuffer;

/** What a view lies in, which it keeps. */
const RANGES = new WeakMap<ArrayBuffer, ArrayBuffer>();

/**
 * Pages of a file mapped for reading, at addresses that are unmapped when neither this nor a view is referred to any
 * more, and when the thread ends, in whatever way.
 *
 * The addresses belong to V8: the memory of a resizable ArrayBuffer is a mapping of its own, which V8 removes with the
 * buffer and touches otherwise only when that is resized (backing-store.cc). Its views are made by koffi all the same,
 * since resizable buffers are slow to index.
 */
export class CollectedMapping {
  readonly #range: ArrayBuffer;
  readonly #address: number;

  /**
   * @param length bytes, whole pages; zeros until something is shown there
   * @throws ENOMEM
   */
  constructor(length: number) {
    this.#range = reserve(length);
    this.#address = Number(koffi.address(this.#range));
  }

  /**
   * Put a file there.
   * @param offset bytes, whole pages
   * @returns false, and errno, when it cannot be mapped
   */
  show(fd: number, offset: number): boolean {
    return this.#map(MAP_SHARED, fd, offset);
  }

  /**
   * Let go of the file. Views that somebody still holds show zeros from now on. A process that has all the mappings that
   * it may have (vm.max_map_count) cannot replace one either: then the file stays until this is collected.
   */
  release(): void {
    this.#map(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }

  /** The first `length` bytes. A transfer of the buffer would part it from its addresses. */
  view(length: number): ArrayBuffer {
    const view = koffi.view(BigInt(this.#address), length);
    RANGES.set(view, this.#range);
    return view;
  }

  #map(flags: number, fd: number, offset: number): boolean {
    return mmap(this.#address, this.#range.byteLength, PROT_READ, flags | MAP_FIXED, fd, offset) !== -1;
  }
}

function reserve(length: number): ArrayBuffer {
  try {
    return new (ArrayBuffer as unknown as ResizableBuffer)(length, { maxByteLength: length });
  } catch (cause) {
    throw systemError(E.ENOMEM, 'mmap', `there is no room for ${length} bytes`, { length, cause });
  }
}
