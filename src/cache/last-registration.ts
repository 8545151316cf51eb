import { types } from 'node:util';
import type { Memory } from '../memory/locate.js';
import type { Entry } from './registration.js';

/** A constructor that makes no object, so that a class on top of it adds its private field to one that there is. */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class
class Given {
  constructor(object: object) {
    return object;
  }
}

/**
 * The registration that an object was given last, in a private field of the object: the fastest place there is, and one
 * that nobody sees. To ask for an object's address takes longer than all the rest of a hit.
 */
class Remembering extends Given {
  #entry: Entry;

  private constructor(memory: object, entry: Entry) {
    super(memory);
    this.#entry = entry;
  }

  static lastOf(memory: object): Entry | undefined {
    return #entry in memory ? memory.#entry : undefined;
  }

  static remember(memory: object, entry: Entry): void {
    if (#entry in memory) memory.#entry = entry;
    else new Remembering(memory, entry);
  }
}

/**
 * The registration that was remembered, with which these bytes are covered as long as it is not retired and
 * `memory.byteLength` is not 0: then the memory has gone elsewhere.
 */
export function lastOf(memory: Memory): Entry | undefined {
  return typeof memory === 'object' && (memory as object | null) !== null
    ? Remembering.lastOf(memory)
    : undefined;
}

/** Remember a registration that covers the memory, if it can be told from the length alone that it still does. */
export function remember(memory: Memory, entry: Entry): void {
  if (hasOneAddress(memory)) Remembering.remember(memory, entry);
}

/**
 * Whether an object has the same bytes until it has none: not one that can be resized, nor a WebAssembly.Memory. A
 * DataView that has none throws when asked.
 */
function hasOneAddress(memory: Memory): boolean {
  if (types.isTypedArray(memory)) return isFixed(memory.buffer) && Object.isExtensible(memory);
  return types.isAnyArrayBuffer(memory) && isFixed(memory) && Object.isExtensible(memory);
}

// Not in the types of ES2022, nor in all versions of Node that have resizable buffers under a flag.
function isFixed(buffer: ArrayBufferLike): boolean {
  const { resizable, growable } = buffer as { resizable?: boolean; growable?: boolean };
  return resizable !== true && growable !== true;
}
