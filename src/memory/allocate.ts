import { constants } from 'node:buffer';
import { regcacheError, shown, systemError } from '../errors.js';
import { checkBoolean, takeOptions } from '../options.js';
import { E, PAGE_SIZE } from '../system/libc.js';
import { addressOf } from './locate.js';
import { pageCeil } from './pages.js';

/** What kind of memory it is to be. */
export interface AllocateOptions {
  /**
   * In a SharedArrayBuffer, which several threads can use at the same time.
   * @default false
   */
  shared?: boolean;
}

/**
 * Zeroed memory that starts at a page and shares no page with anything else: what is pinned for it is nobody else's.
 * It is freed like any Buffer, when nothing refers to it any more.
 *
 * It lies inside a larger ArrayBuffer: a typed array on it is
 * `new Float64Array(memory.buffer, memory.byteOffset, count)`. It keeps its place when that is transferred to, or
 * shared with, another thread; a copy (structuredClone) is ordinary memory.
 * @param length bytes, exactly what the Buffer has
 * @throws ERR_INVALID_LENGTH, ERR_INVALID_OPTION, ENOMEM
 */
export function allocatePageAligned(length: number, options: AllocateOptions = {}): Buffer {
  checkLength(length);
  const { shared = false } = takeOptions(options, ['shared']);
  checkBoolean('shared', shared);
  // Ordinary memory with a page to spare, in which there is a boundary wherever it starts. Of what V8 maps by itself,
  // resizable buffers are 2 to 40 times as slow to index, and a WebAssembly.Memory takes 10 GiB of address space.
  const buffer = reserve(length, shared);
  const start = addressOf(buffer);
  return Buffer.from(buffer, pageCeil(start) - start, length);
}

/** Room for whole pages. */
function reserve(length: number, shared: boolean): ArrayBufferLike {
  const bytes = pageCeil(length) + PAGE_SIZE - 1;
  try {
    return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  } catch (cause) {
    throw systemError(E.ENOMEM, 'calloc', `there is no room for ${length} bytes`, { length, cause });
  }
}

function checkLength(length: number): void {
  if (Number.isSafeInteger(length) && length > 0 && length <= constants.MAX_LENGTH) return;
  throw regcacheError(
    'ERR_INVALID_LENGTH',
    `a length is a whole number of bytes from 1 to ${constants.MAX_LENGTH}, not ${shown(length)}`,
  );
}
