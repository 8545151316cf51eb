import assert from 'node:assert/strict';
import { nullRegistrar } from '../../bench/hit/null.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { CacheOptions } from '../../src/cache/options.js';
import type { Registration } from '../../src/cache/registration.js';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { addressOf, type Memory } from '../../src/memory/locate.js';
import { ModelMonitor } from '../model/address-space.js';

/** What a typed array remembers of the last acquire must not outlive its reasons. */
describe('cache: the registration that a typed array was given last', () => {
  function make(options: Partial<CacheOptions> = {}) {
    const monitor = new ModelMonitor();
    const cache = new RegistrationCache({ monitor, registrar: nullRegistrar, eagerDrain: false, ...options });
    return { monitor, cache };
  }

  /** Acquire so often that it is remembered. */
  function remembered(cache: RegistrationCache, memory: Memory): Registration {
    const registration = cache.acquire(memory);
    for (let n = 0; n < 3; n++) cache.acquire(memory).release();
    registration.release();
    return registration;
  }

  function assertCovers(registration: Registration, memory: ArrayBufferView): void {
    const address = addressOf(memory);
    assert.ok(registration.address <= address, 'begins at it or before');
    assert.ok(registration.address + registration.length >= address + memory.byteLength, 'ends behind it');
  }

  const elsewhere = (memory: ArrayBufferView): void => {
    structuredClone(memory.buffer, { transfer: [memory.buffer as ArrayBuffer] });
  };

  it('is found again', () => {
    const { cache } = make();
    const memory = allocatePageAligned(5000);
    const registration = remembered(cache, memory);
    assert.equal(cache.acquire(memory), registration);
    assertCovers(registration, memory);
    assert.equal(cache.statistics().hits, 4);
  });

  it('not when its mapping changed', () => {
    for (const words of [0, 64]) {
      const { cache, monitor } = make();
      if (words !== 0) monitor.generations = new Int32Array(words);
      const memory = allocatePageAligned(5000);
      const old = remembered(cache, memory);
      monitor.changed(old.address, old.address + 1);
      const registration = cache.acquire(memory);
      assert.notEqual(registration, old);
      assert.equal(old.stale, true);
      assertCovers(registration, memory);
    }
  });

  it('not when it was given up', () => {
    const { cache } = make();
    const memory = allocatePageAligned(5000);
    const old = remembered(cache, memory);
    cache.flush();
    assert.notEqual(cache.acquire(memory), old);
  });

  it('not by another cache', () => {
    const { cache } = make();
    const { cache: other } = make();
    const memory = allocatePageAligned(5000);
    const one = remembered(cache, memory);
    const two = remembered(other, memory);
    assert.notEqual(one, two);
    for (let n = 0; n < 3; n++) {
      assert.equal(cache.acquire(memory), one);
      assert.equal(other.acquire(memory), two);
    }
  });

  it('not with other rights', () => {
    const { cache } = make();
    const memory = allocatePageAligned(5000);
    const writable = remembered(cache, memory);
    assert.notEqual(cache.acquire(memory, 1 | 4), writable);
  });

  it('not when acquires go past the cache, or it is closed', () => {
    const { cache } = make();
    const memory = allocatePageAligned(5000);
    const old = remembered(cache, memory);
    cache.bypass = true;
    const uncached = cache.acquire(memory);
    assert.notEqual(uncached, old);
    uncached.release();
    cache.bypass = false;
    assert.equal(cache.acquire(memory), old);
    old.release();
    cache.close();
    assert.throws(() => cache.acquire(memory), { code: 'ERR_CLOSED' });
  });

  class Rows extends Float64Array {
    override get length(): number {
      return 3;
    }
  }

  for (const [what, memory] of [
    ['an array', new Uint8Array(5000)],
    ['a Buffer', allocatePageAligned(5000)],
    ['a DataView', new DataView(new ArrayBuffer(5000))],
    ['a subclass with a length of its own', new Rows(1000)],
    [
      'an object with a length of its own',
      Object.defineProperty(new Uint8Array(5000), 'length', { value: 3 }),
    ],
    ['an array that cannot be extended', Object.preventExtensions(new Uint8Array(5000))],
  ] as const) {
    it(`not when its bytes went elsewhere: ${what}`, () => {
      const { cache } = make();
      remembered(cache, memory);
      elsewhere(memory);
      assert.throws(() => cache.acquire(memory), { code: 'ERR_DETACHED_BUFFER' });
    });
  }

  it('not when it is resized', () => {
    const { cache } = make();
    const buffer = new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(5000, {
      maxByteLength: 100_000,
    });
    const memory = new Uint8Array(buffer);
    remembered(cache, memory);
    (buffer as unknown as { resize(length: number): void }).resize(100_000);
    assertCovers(cache.acquire(memory), memory);
  });

  it('not when a WebAssembly.Memory grows', () => {
    const { cache } = make();
    const { WebAssembly } = globalThis as unknown as {
      WebAssembly: { Memory: new (limits: object) => { buffer: ArrayBuffer; grow(pages: number): number } };
    };
    const wasm = new WebAssembly.Memory({ initial: 1, maximum: 4 });
    const memory = new Uint8Array(wasm.buffer);
    remembered(cache, memory);
    wasm.grow(1);
    assert.throws(() => cache.acquire(memory), { code: 'ERR_DETACHED_BUFFER' });
  });

  it('is nothing that anybody sees', () => {
    const { cache } = make();
    const memory = new Uint8Array(5000);
    remembered(cache, memory);
    assert.deepEqual(Object.keys(Object.assign({}, new Uint8Array(0), memory)).length, 5000);
    assert.deepEqual(memory, new Uint8Array(5000));
    assert.deepEqual(structuredClone(memory), new Uint8Array(5000));
  });
});
