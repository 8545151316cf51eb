import koffi from 'koffi';
import { systemError } from '../errors.js';
import {
  errno,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  mmap,
  munmap,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from './libc.js';

export interface MapOptions {
  /** Where to map; chosen by the kernel when left out. Page aligned. */
  at?: number;
  /** Replace what is mapped at `at` (MAP_FIXED) instead of refusing to (MAP_FIXED_NOREPLACE). */
  replace?: boolean;
  /** PROT_* bits; read and write when left out. */
  prot?: number;
  /** MAP_* bits; private anonymous memory when left out. */
  flags?: number;
  /** File to map, for other than anonymous memory. */
  fd?: number;
  /** Byte offset in the file, a multiple of the page size. */
  offset?: number;
}

/**
 * mmap(2). Nothing owns the result: unmap it with {@link unmap}, and do not touch a view of it afterwards.
 * @param length bytes, rounded up to whole pages by the kernel
 * @returns the address
 * @throws the system's error, e.g. EEXIST for `at` without `replace` where something is mapped
 */
export function map(length: number, options: MapOptions = {}): number {
  const { at = 0, replace = false, prot = PROT_READ | PROT_WRITE, fd = -1, offset = 0 } = options;
  const placement = at === 0 ? 0 : replace ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  const flags = (options.flags ?? MAP_PRIVATE | MAP_ANONYMOUS) | placement;
  const address = mmap(at, length, prot, flags, fd, offset);
  if (address === -1) throw systemError(errno(), 'mmap', undefined, { address: at, length });
  return address;
}

/** munmap(2) of `length` bytes from `address` on. */
export function unmap(address: number, length: number): void {
  if (munmap(address, length) === -1) throw systemError(errno(), 'munmap', undefined, { address, length });
}

/**
 * The bytes at `address`, live. Unsafe by nature: touching them after they are unmapped kills the process (SIGSEGV).
 */
export function bytesAt(address: number, length: number): Buffer {
  return Buffer.from(koffi.view(BigInt(address), length));
}

export { PAGE_SIZE };
