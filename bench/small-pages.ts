import { systemError } from '../src/errors.js';
import { errno, madvise } from '../src/system/libc.js';
import { map, type MapOptions, PAGE_SIZE, unmap } from '../src/system/mapping.js';
import { MADV_NOHUGEPAGE } from './mapping-flags.js';

/** Map memory that stays in pages of the usual size, of which there are most, wherever it is measured. */
export function mapSmallPages(length: number, options: MapOptions = {}): number {
  const address = map(length, options);
  if (madvise(address, length, MADV_NOHUGEPAGE) === -1)
    throw systemError(errno(), 'madvise', undefined, { address, length });
  return address;
}

/**
 * Far below where the kernel maps what has no place of its own: what is unmapped from here on is not taken by another
 * thread before it can be mapped again.
 */
const OUT_OF_THE_WAY = 2 ** 37;

/** From one buffer of a page to the next: they seldom adjoin. */
export const STRIDE = 2 * PAGE_SIZE;

/**
 * Map pages, STRIDE apart, to be unmapped and mapped again. The first are mappings of their own: to unmap a part of a
 * larger one would split that, which the kernel reports as a change of the 2 MiB around it, whatever the size of the
 * pages (__split_huge_pmd).
 * @param separate how many of them will be unmapped, the first ones
 * @returns where the first is
 */
export function mapScattered(pages: number, separate: number, flags?: number): number {
  const options: MapOptions = { at: OUT_OF_THE_WAY, ...(flags === undefined ? {} : { flags }) };
  const address = mapSmallPages(pages * STRIDE, options);
  for (let i = 0; i < separate; i++) unmap(address + i * STRIDE, PAGE_SIZE);
  return address + PAGE_SIZE;
}
