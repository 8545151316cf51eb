import { types } from 'node:util';
import type { Memory } from '../memory/locate.js';

/** What all kinds of typed arrays inherit from. Those of other realms (vm contexts) have another. */
const TypedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;

/**
 * Whether an object has the same bytes at the same addresses until its `length` is 0, and has room for another property:
 * a typed array on a buffer that cannot be resized. (A DataView that has no bytes any more throws when it is asked.)
 */
export function hasOneAddress(memory: Memory): boolean {
  return (
    types.isTypedArray(memory) &&
    isFixed(memory.buffer) &&
    hasLengthOfTypedArray(memory) &&
    Object.isExtensible(memory)
  );
}

/** A subclass may have a length that means something else, and does not become 0. */
function hasLengthOfTypedArray(memory: object): boolean {
  let at: object | null = memory;
  while (at !== null && !Object.hasOwn(at, 'length')) at = Object.getPrototypeOf(at) as object | null;
  return at === TypedArray;
}

// Not in the types of ES2022, nor in all versions of Node that have resizable buffers under a flag.
function isFixed(buffer: ArrayBufferLike): boolean {
  const { resizable, growable } = buffer as { resizable?: boolean; growable?: boolean };
  return resizable !== true && growable !== true;
}
