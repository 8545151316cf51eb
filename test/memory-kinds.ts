import { runInNewContext } from 'node:vm';
import { allocatePageAligned } from '../src/memory/allocate.js';
import type { Memory, WebAssemblyMemory } from '../src/memory/locate.js';

// TypeScript knows these only with a later library, or with a browser.
export interface ResizableBuffer extends ArrayBuffer {
  resize(length: number): void;
}
export interface GrowableBuffer extends SharedArrayBuffer {
  grow(length: number): void;
}
type BufferClass<T> = new (length: number, options: { maxByteLength: number }) => T;

export const resizable = (length: number, maxByteLength: number = length): ResizableBuffer =>
  new (ArrayBuffer as unknown as BufferClass<ResizableBuffer>)(length, { maxByteLength });

export const growable = (length: number, maxByteLength: number = length): GrowableBuffer =>
  new (SharedArrayBuffer as unknown as BufferClass<GrowableBuffer>)(length, { maxByteLength });

interface WebAssemblyOptions {
  initial: number;
  maximum?: number;
  shared?: boolean;
}

/** The unit in which WebAssembly.Memory grows. */
export const WEBASSEMBLY_PAGE = 65_536;

/** A WebAssembly.Memory that can grow to four of its pages. */
export function webAssembly(options: Partial<WebAssemblyOptions> = {}): WebAssemblyMemory {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Memory: new (options: WebAssemblyOptions) => WebAssemblyMemory };
  };
  return new WebAssembly.Memory({ initial: 1, maximum: 4, ...options });
}

/** What an expression makes in another realm, with classes of its own. */
const elsewhere = (expression: string): Memory => runInNewContext(expression) as Memory;

/** Every kind of memory that a Node program has, of `length` bytes (a multiple of 16) where it can be chosen. */
export const KINDS: Readonly<Record<string, (length: number) => Memory>> = {
  'a Buffer in the pool, from a string': (length) => Buffer.from('x'.repeat(Math.min(length, 1000))),
  'a Buffer in the pool, by allocUnsafe': (length) => Buffer.allocUnsafe(Math.min(length, 1000)),
  'a Buffer of its own': (length) => Buffer.alloc(length),
  'a Buffer by allocUnsafeSlow': (length) => Buffer.allocUnsafeSlow(length),
  'part of a Buffer': (length) => Buffer.alloc(length + 20).subarray(7, 7 + length),
  'an Int8Array': (length) => new Int8Array(length),
  'a Uint8Array': (length) => new Uint8Array(length),
  'a Uint8ClampedArray': (length) => new Uint8ClampedArray(length),
  'an Int16Array': (length) => new Int16Array(length / 2),
  'a Uint16Array': (length) => new Uint16Array(length / 2),
  'an Int32Array': (length) => new Int32Array(length / 4),
  'a Uint32Array': (length) => new Uint32Array(length / 4),
  'a Float32Array': (length) => new Float32Array(length / 4),
  'a Float64Array': (length) => new Float64Array(length / 8),
  'a BigInt64Array': (length) => new BigInt64Array(length / 8),
  'a BigUint64Array': (length) => new BigUint64Array(length / 8),
  'a Uint8Array so small that V8 makes it in its heap': () => new Uint8Array(16),
  'part of a Float64Array': (length) => new Float64Array(length / 8 + 3).subarray(2, 2 + length / 8),
  'a DataView': (length) => new DataView(new ArrayBuffer(length + 20), 5, length),
  'an ArrayBuffer': (length) => new ArrayBuffer(length),
  'a SharedArrayBuffer': (length) => new SharedArrayBuffer(length),
  'a Buffer on a SharedArrayBuffer': (length) => Buffer.from(new SharedArrayBuffer(length + 9), 9),
  'an Int32Array on a SharedArrayBuffer': (length) => new Int32Array(new SharedArrayBuffer(length)),
  'a DataView on a SharedArrayBuffer': (length) => new DataView(new SharedArrayBuffer(length), 1),
  'a resizable ArrayBuffer': (length) => resizable(length, 4 * length),
  'a view that tracks the length of a resizable ArrayBuffer': (length) =>
    new Uint8Array(resizable(length, 4 * length), 3),
  'a view with a length of its own on a resizable ArrayBuffer': (length) =>
    new Uint16Array(resizable(length, 4 * length), 6, 5),
  'a DataView that tracks the length of a resizable ArrayBuffer': (length) =>
    new DataView(resizable(length, 4 * length), 3),
  'a Buffer on a resizable ArrayBuffer': (length) => Buffer.from(resizable(length, 4 * length)),
  'a growable SharedArrayBuffer': (length) => growable(length, 4 * length),
  'a view that tracks the length of a growable SharedArrayBuffer': (length) =>
    new Uint8Array(growable(length, 4 * length), 3),
  'a WebAssembly.Memory': () => webAssembly(),
  'the buffer of a WebAssembly.Memory': () => webAssembly().buffer,
  'a view on a WebAssembly.Memory': (length) => new Float32Array(webAssembly().buffer, 1000, length / 4),
  'a shared WebAssembly.Memory': () => webAssembly({ shared: true }),
  'the buffer of a shared WebAssembly.Memory': () => webAssembly({ shared: true }).buffer,
  'a Uint8Array of another realm': (length) => elsewhere(`new Uint8Array(${length})`),
  'a DataView of another realm': (length) => elsewhere(`new DataView(new ArrayBuffer(${length}), 1)`),
  'an ArrayBuffer of another realm': (length) => elsewhere(`new ArrayBuffer(${length})`),
  'a SharedArrayBuffer of another realm': (length) => elsewhere(`new SharedArrayBuffer(${length})`),
  'a WebAssembly.Memory of another realm': () => elsewhere('new WebAssembly.Memory({ initial: 1 })'),
  'page-aligned memory': (length) => allocatePageAligned(length),
  'page-aligned shared memory': (length) => allocatePageAligned(length, { shared: true }),
};

/** The bytes of any kind of memory, found without addresses. */
export function bytesOf(memory: Memory): Uint8Array {
  if (ArrayBuffer.isView(memory)) return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  return new Uint8Array('buffer' in memory ? memory.buffer : memory);
}
