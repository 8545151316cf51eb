import { PROT_NONE } from '../src/system/libc.js';
import { map, type MapOptions, PAGE_SIZE, unmap } from '../src/system/mapping.js';

/**
 * Maps memory that the kernel makes one mapping with no other. Where a mapping covers a whole block of 2 MiB, to unmap or
 * map over one page of it is reported for all of the block, huge page or not (__split_huge_pmd in mm/huge_memory.c): no
 * change that a test can count.
 * @param length bytes, less than 2 MiB; whole pages
 */
export function mapApart(length: number, options: MapOptions = {}): number {
  const around = map(length + 2 * PAGE_SIZE, { prot: PROT_NONE });
  return map(length, { ...options, at: around + PAGE_SIZE, replace: true });
}

export function unmapApart(address: number, length: number): void {
  unmap(address - PAGE_SIZE, length + 2 * PAGE_SIZE);
}
