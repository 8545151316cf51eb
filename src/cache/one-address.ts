import { types } from 'node:util';
import type { Memory } from '../memory/locate.js';

/**
 * Whether an object has the same bytes at the same addresses until it has none, and has room for another property: a
 * typed array on a buffer that cannot be resized. (A DataView that has no bytes any more throws when it is asked.)
 */
export function hasOneAddress(memory: Memory): boolean {
  return types.isTypedArray(memory) && isFixed(memory.buffer) && Object.isExtensible(memory);
}

// Not in the types of ES2022, nor in all versions of Node that have resizable buffers under a flag.
function isFixed(buffer: ArrayBufferLike): boolean {
  const { resizable, growable } = buffer as { resizable?: boolean; growable?: boolean };
  return resizable !== true && growable !== true;
}
