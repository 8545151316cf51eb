import { systemError, regcacheError } from '../errors.js';
import {
  E,
  errno,
  madvise,
  madviseAsync,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MS_ASYNC,
  msync,
} from '../system/libc.js';
import { pageCeil, pageFloor } from './pages.js';

const RETRIES = 3;

/**
 * Fault pages in before they are watched and pinned, so that pinning itself need not copy zero pages or pages
 * shared with a forked child: such a copy changes the mapping and would report the very range being registered
 * (the copy-on-write row of the driver's event table; madvise(2), Linux 5.14).
 *
 * @param start first byte, page aligned
 * @param length bytes, whole pages
 * @param write whether the device will write to it
 * @throws ERR_NOT_MAPPED, ERR_READ_ONLY_MEMORY, or the system's own error (ENOMEM with everything mapped: no memory)
 */
export function prefault(start: number, length: number, write: boolean): void {
  if (madvise(start, length, MADV_POPULATE_WRITE) === 0) return;
  // EINVAL: the mapping cannot be written, or the kernel is older than 5.14 and does not know the advice.
  let written = errno();
  // ENOMEM: not mapped, or no memory. More than once, as what was not mapped may be mapped by now.
  for (let tries = 0; written === E.ENOMEM && msync(start, length, MS_ASYNC) === 0; tries++) {
    if (tries === RETRIES) throw outOfMemory(start, length);
    if (madvise(start, length, MADV_POPULATE_WRITE) === 0) return;
    written = errno();
  }
  if (written === E.EINVAL) {
    if (madvise(start, length, MADV_POPULATE_READ) === 0) {
      if (!write) return;
      throw regcacheError(
        'ERR_READ_ONLY_MEMORY',
        'the memory is mapped read-only; acquire it with read access (Access.NONE) or make it writable',
        { errno: E.EACCES, syscall: 'madvise', address: start, length },
      );
    }
    if (errno() === E.EINVAL && !knowsPopulate()) return;
  }
  throw failure(errno(), start, length);
}

/**
 * The same on another thread: the event loop goes on.
 * @throws what {@link prefault} throws
 */
export async function prefaultAsync(start: number, length: number, write: boolean): Promise<void> {
  if (await madviseAsync(start, length, MADV_POPULATE_WRITE)) return;
  await madviseAsync(start, length, MADV_POPULATE_READ);
  // What the matter is does not take long to find out, now that all pages are in place that can be.
  prefault(start, length, write);
}

/** Whether a load from any of these bytes would succeed now; taken for granted where the kernel is older than 5.14. */
export function isReadable(address: number, length: number): boolean {
  const start = pageFloor(address);
  return madvise(start, pageCeil(address + length) - start, MADV_POPULATE_READ) === 0 || !knowsPopulate();
}

function outOfMemory(start: number, length: number): Error {
  const advice =
    "there is no room for the range's pages; free memory, or raise memory.max of the control group";
  return systemError(E.ENOMEM, 'madvise', advice, { address: start, length });
}

function failure(error: number, start: number, length: number): Error {
  const details = { syscall: 'madvise', address: start, length };
  if (error === E.ENOMEM || error === E.EFAULT || error === E.EINVAL) {
    const why =
      error === E.ENOMEM
        ? 'part of the range is not mapped in this process'
        : error === E.EFAULT
          ? 'part of the range lies past the end of its file'
          : 'part of the range is not in the address space, or cannot be pinned (PROT_NONE, device memory)';
    return regcacheError('ERR_NOT_MAPPED', why, { ...details, errno: error });
  }
  return systemError(error, 'madvise', undefined, details);
}

let populateKnown: boolean | undefined;

/** A length of zero succeeds for every advice that the kernel knows. */
function knowsPopulate(): boolean {
  populateKnown ??= madvise(0, 0, MADV_POPULATE_READ) === 0;
  return populateKnown;
}
