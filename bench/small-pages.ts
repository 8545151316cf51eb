import { systemError } from '../src/errors.js';
import { errno, madvise } from '../src/system/libc.js';
import { map, type MapOptions } from '../src/system/mapping.js';
import { MADV_NOHUGEPAGE } from './coverage/mapping-flags.js';

/** Map memory that stays in pages of the usual size, of which there are most, wherever it is measured. */
export function mapSmallPages(length: number, options: MapOptions = {}): number {
  const address = map(length, options);
  if (madvise(address, length, MADV_NOHUGEPAGE) === -1)
    throw systemError(errno(), 'madvise', undefined, { address, length });
  return address;
}
