import { types } from 'node:util';
import koffi from 'koffi';
import { regcacheError, shown } from '../errors.js';

const { isAnyArrayBuffer, isDataView, isProxy } = types;

/** A WebAssembly.Memory: what of it matters here, as TypeScript knows the real one only together with a browser. */
export interface WebAssemblyMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** Memory that a Node program has as an object. Of a WebAssembly.Memory it is all that it has at the moment. */
export type Memory = ArrayBufferView | ArrayBufferLike | WebAssemblyMemory;

/** Where memory is: the first byte and the length in bytes. Reused between calls so that locating allocates nothing. */
export interface Location {
  address: number;
  length: number;
}

/** User addresses end below this: 2^47 on x86-64, 2^48 or 2^52 on arm64. */
export const ADDRESS_LIMIT = 2 ** 52;

/** There is none under --jitless. */
const WebAssemblyMemory = (
  globalThis as { WebAssembly?: { Memory: abstract new (...args: never) => WebAssemblyMemory } }
).WebAssembly?.Memory;

/** Its getter works for those of other realms (vm contexts) too, and throws for everything else. */
const webAssemblyBuffer = WebAssemblyMemory
  ? Object.getOwnPropertyDescriptor(WebAssemblyMemory.prototype, 'buffer')
  : undefined;

/**
 * Find the bytes behind a Buffer, typed array, DataView, ArrayBuffer, SharedArrayBuffer or WebAssembly.Memory, as they
 * are now: a resizable buffer may have others at the next call.
 * @param into receives the result
 * @throws ERR_NOT_MEMORY, ERR_DETACHED_BUFFER, ERR_INVALID_LENGTH (no bytes)
 */
export function locate(memory: Memory, into: Location): void {
  const view = ArrayBuffer.isView(memory) ? memory : viewOfBuffer(memory);
  const length = lengthOf(view);
  if (length === 0) refuseEmpty(view);
  into.address = Number(koffi.address(view));
  into.length = length;
}

/**
 * The address of the first byte, as a number below 2^53. It stays the same as long as the memory is neither
 * detached nor transferred; growing a WebAssembly.Memory may move it.
 * @throws ERR_NOT_MEMORY, ERR_DETACHED_BUFFER, ERR_INVALID_LENGTH
 */
export function addressOf(memory: Memory): number {
  const location: Location = { address: 0, length: 0 };
  locate(memory, location);
  return location.address;
}

/**
 * Check a raw range of `length` bytes from `address` on.
 * @throws ERR_INVALID_ADDRESS, ERR_INVALID_LENGTH
 */
export function checkRange(address: number, length: number): void {
  if (!Number.isSafeInteger(address) || address <= 0 || address >= ADDRESS_LIMIT) {
    throw regcacheError(
      'ERR_INVALID_ADDRESS',
      `an address is a positive whole number below 2^52, not ${shown(address)}`,
    );
  }
  if (!Number.isSafeInteger(length) || length <= 0 || address + length > ADDRESS_LIMIT) {
    throw regcacheError(
      'ERR_INVALID_LENGTH',
      `a length is a positive whole number of bytes that ends within the address space, not ${shown(length)}`,
      { address },
    );
  }
}

const TypedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
/** Undefined for what is no typed array of any kind. */
const kindOf = Object.getOwnPropertyDescriptor(TypedArray, Symbol.toStringTag)!;
const lengthOfArray = Object.getOwnPropertyDescriptor(TypedArray, 'byteLength')!;
const lengthOfDataView = Object.getOwnPropertyDescriptor(DataView.prototype, 'byteLength')!;

/** A DataView takes nothing but real buffers, those of other realms (vm contexts) too, of any size. */
function viewOfBuffer(memory: ArrayBufferLike | WebAssemblyMemory): DataView {
  try {
    // Asking first is cheap; to find out by an exception takes microseconds.
    return new DataView(isWebAssemblyMemory(memory) ? memory.buffer : memory);
  } catch (cause) {
    if (isAnyArrayBuffer(memory)) throw detached(cause);
    return new DataView(bufferOfOtherRealm(memory));
  }
}

/** A proxy may throw when it is asked. */
function isWebAssemblyMemory(memory: object): memory is WebAssemblyMemory {
  return WebAssemblyMemory !== undefined && !isProxy(memory) && memory instanceof WebAssemblyMemory;
}

/** The buffer of a WebAssembly.Memory of another realm. */
function bufferOfOtherRealm(value: unknown): ArrayBufferLike {
  try {
    const buffer: unknown = webAssemblyBuffer?.get?.call(value);
    if (isAnyArrayBuffer(buffer)) return buffer;
  } catch {
    // It is none.
  }
  refuseValue(value);
}

function lengthOf(view: ArrayBufferView): number {
  try {
    // Not view.byteLength, which may be anybody's.
    const getter = kindOf.get!.call(view) === undefined ? lengthOfDataView : lengthOfArray;
    return getter.get!.call(view) as number;
  } catch (cause) {
    // Only a DataView throws: its buffer was detached, or has shrunk so that the view lies outside.
    if (isDetached(view.buffer)) throw detached(cause);
    throw outside(cause);
  }
}

function refuseValue(value: unknown): never {
  const what =
    value === null ? 'null' : typeof value === 'object' ? 'an object of another kind' : typeof value;
  throw regcacheError(
    'ERR_NOT_MEMORY',
    `expected a Buffer, typed array, DataView, ArrayBuffer, SharedArrayBuffer or WebAssembly.Memory, got ${what}; ` +
      'for a raw address use acquireRange(address, length)',
  );
}

function refuseEmpty(view: ArrayBufferView): never {
  if (isDetached(view.buffer)) throw detached();
  if (!isDataView(view) && liesOutside(view)) throw outside();
  throw regcacheError('ERR_INVALID_LENGTH', 'the memory has length 0: there is nothing to register');
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0) return false;
  try {
    // A detached buffer cannot be viewed; an empty one can. (`ArrayBuffer.prototype.detached` needs Node 21.)
    new DataView(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Whether a typed array has nothing to show because its buffer has shrunk: its methods throw then. */
function liesOutside(view: ArrayBufferView): boolean {
  try {
    Uint8Array.prototype.at.call(view, 0);
    return false;
  } catch {
    return true;
  }
}

const outside = (cause?: unknown) =>
  regcacheError('ERR_INVALID_LENGTH', 'the buffer has shrunk: the view lies outside of it', { cause });

const detached = (cause?: unknown) =>
  regcacheError(
    'ERR_DETACHED_BUFFER',
    'the ArrayBuffer was transferred to another owner (postMessage, structuredClone, transfer) or its ' +
      'WebAssembly.Memory has grown; use the new one',
    { cause },
  );
