import { systemError } from '../src/errors.js';
import { errno, madvise } from '../src/system/libc.js';
import { map, type MapOptions, PAGE_SIZE, unmap } from '../src/system/mapping.js';
import { MADV_NOHUGEPAGE } from './coverage/mapping-flags.js';

/** Map memory that stays in pages of the usual size, of which there are most, wherever it is measured. */
export function mapSmallPages(length: number, options: MapOptions = {}): number {
  const address = map(length, options);
  if (madvise(address, length, MADV_NOHUGEPAGE) === -1)
    throw systemError(errno(), 'madvise', undefined, { address, length });
  return address;
}

/** From one buffer of a page to the next: they seldom adjoin. */
export const STRIDE = 2 * PAGE_SIZE;

/**
 * Make mappings of their own of the first pages of a mapping, by unmapping what is between them; the first is the
 * second page. To unmap a part of a larger mapping would split that, which the kernel reports as a change of the 2 MiB
 * around it, whatever the size of the pages (__split_huge_pmd): once, and then never again.
 * @param address first byte of the mapping
 * @returns where the first of them is
 */
export function separatePages(address: number, count: number): number {
  for (let i = 0; i < count; i++) unmap(address + i * STRIDE, PAGE_SIZE);
  return address + PAGE_SIZE;
}
