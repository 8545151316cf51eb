import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { nullRegistrar } from '../../bench/hit/null.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { addressOf, locate, type Location, type Memory } from '../../src/memory/locate.js';
import { bytesAt } from '../../src/system/mapping.js';
import { collectGarbage } from '../garbage.js';
import { bytesOf, growable, KINDS, resizable, webAssembly, WEBASSEMBLY_PAGE } from '../memory-kinds.js';
import { ModelMonitor } from '../model/address-space.js';

function located(memory: Memory): Location {
  const location: Location = { address: 0, length: 0 };
  locate(memory, location);
  return location;
}

/** Fails unless `locate` finds the bytes of the memory: what is written at either comes out of the other. */
function assertFound(memory: Memory): Location {
  const bytes = bytesOf(memory);
  const location = located(memory);
  assert.equal(location.length, bytes.length);
  const found = bytesAt(location.address, location.length);
  randomFillSync(found);
  assert.deepEqual(Buffer.from(bytes), found, 'what was written at the address is in the object');
  randomFillSync(bytes);
  assert.deepEqual(found, Buffer.from(bytes), 'what was written into the object is at the address');
  return location;
}

const detached = { code: 'ERR_DETACHED_BUFFER' };
const outside = { code: 'ERR_INVALID_LENGTH', message: /has shrunk/ };
const empty = { code: 'ERR_INVALID_LENGTH', message: /length 0/ };

describe('memory: where it is', () => {
  for (const [kind, make] of Object.entries(KINDS)) {
    it(`finds ${kind}, and again after garbage collections`, () => {
      const memory = make(2000);
      const location = assertFound(memory);
      collectGarbage();
      collectGarbage();
      assert.deepEqual(assertFound(memory), location);
    });
  }

  it('finds no memory in what only looks like a WebAssembly.Memory', () => {
    const { prototype } = webAssembly().constructor as unknown as { prototype: object };
    for (const impostor of [
      prototype,
      Object.create(prototype),
      { buffer: new ArrayBuffer(10), grow: () => 0 },
      { get: () => new ArrayBuffer(10) },
    ]) {
      assert.throws(() => located(impostor as Memory), { code: 'ERR_NOT_MEMORY' });
    }
  });

  describe('with worker threads', () => {
    let worker: Worker;

    /** What the worker answers to an expression in which `memory` is what it is sent and `addressOf` the function. */
    async function inWorker<T>(expression: string, memory?: unknown, moved: ArrayBuffer[] = []): Promise<T> {
      worker.postMessage({ expression, memory }, moved);
      const [answer] = (await once(worker, 'message')) as [T];
      return answer;
    }

    before(() => {
      const library = new URL('../../src/memory/locate.js', import.meta.url).href;
      worker = new Worker(
        `const { parentPort } = require('node:worker_threads');
         parentPort.on('message', async ({ expression, memory }) => {
           const { addressOf } = await import('${library}');
           const answer = new Function('memory', 'addressOf', 'return ' + expression)(memory, addressOf);
           parentPort.postMessage(answer, answer instanceof ArrayBuffer ? [answer] : []);
         });`,
        { eval: true },
      );
    });

    after(() => worker.terminate());

    it('finds what a worker transferred or shared', async () => {
      const transferred = await inWorker<ArrayBuffer>('new Uint8Array(3000).fill(7).buffer');
      assert.deepEqual(new Uint8Array(transferred), new Uint8Array(3000).fill(7));
      assertFound(transferred);
      const shared = await inWorker<SharedArrayBuffer>('new SharedArrayBuffer(3000)');
      assertFound(shared);
      const view = await inWorker<Uint8Array>('new Uint8Array(new SharedArrayBuffer(3000), 100, 50)');
      assert.equal(assertFound(view).address, addressOf(view.buffer) + 100);
      assertFound(await inWorker<Memory>('new Uint16Array(3000)'));
    });

    it('finds shared memory at the same address in every thread', async () => {
      for (const memory of [
        new SharedArrayBuffer(100),
        growable(100, 200),
        webAssembly({ shared: true }).buffer,
        webAssembly({ shared: true }),
        allocatePageAligned(100, { shared: true }),
      ]) {
        assert.equal(await inWorker('addressOf(memory)', memory), addressOf(memory));
      }
    });

    it('notices that memory was transferred to a worker, where it has the address that it had', async () => {
      const memory = Buffer.from(new ArrayBuffer(3000), 100);
      const { address } = assertFound(memory);
      assert.equal(await inWorker('addressOf(memory)', memory, [memory.buffer]), address);
      assert.throws(() => located(memory), detached);
      assert.throws(() => located(memory.buffer), detached);
    });

    it('notices that a worker has grown a buffer', async () => {
      const buffer = growable(100, 5000);
      const tracking = new Uint8Array(buffer, 10);
      const fixed = new Uint8Array(buffer, 10, 20);
      await inWorker('memory.grow(5000)', buffer);
      assert.equal(assertFound(buffer).length, 5000);
      assert.equal(assertFound(tracking).length, 4990);
      assert.equal(assertFound(fixed).length, 20);
    });
  });
});

describe('memory: what becomes of it', () => {
  const views = {
    itself: (buffer: ArrayBuffer): Memory => buffer,
    'a Buffer on it': (buffer: ArrayBuffer) => Buffer.from(buffer, 8),
    'a Float64Array on it': (buffer: ArrayBuffer) => new Float64Array(buffer, 8),
    'a DataView on it': (buffer: ArrayBuffer) => new DataView(buffer, 8),
  };
  const transfers: Record<string, (buffer: ArrayBuffer) => ArrayBuffer | undefined> = {
    'structuredClone with a transfer list': (buffer) => structuredClone(buffer, { transfer: [buffer] }),
    'postMessage with a transfer list': (buffer) => {
      const { port1, port2 } = new MessageChannel();
      port1.postMessage(buffer, [buffer]);
      port1.close();
      port2.close();
      return undefined;
    },
  };
  for (const [how, transfer] of Object.entries(transfers)) {
    for (const [what, view] of Object.entries(views)) {
      for (const [kind, make] of Object.entries({
        'an ArrayBuffer': (n: number) => new ArrayBuffer(n),
        'a resizable one': resizable,
      })) {
        it(`notices ${how} of ${kind}: ${what}`, () => {
          const buffer = make(8000);
          const memory = view(buffer);
          const before = located(buffer);
          assertFound(memory);
          const moved = transfer(buffer);
          assert.throws(() => located(memory), detached);
          assert.throws(() => located(buffer), detached);
          if (moved) assert.deepEqual(assertFound(moved), before);
        });
      }
    }
  }

  it('notices that a WebAssembly.Memory has grown: its old buffer is detached, itself it is larger', () => {
    for (const pages of [1, 0]) {
      const memory = webAssembly();
      const { buffer } = memory;
      const view = new Uint8Array(buffer, 100, 100);
      assert.equal(assertFound(memory).length, WEBASSEMBLY_PAGE);
      memory.grow(pages);
      assert.throws(() => located(buffer), { ...detached, message: /WebAssembly\.Memory has grown/ });
      assert.throws(() => located(view), detached);
      assert.equal(assertFound(memory).length, (1 + pages) * WEBASSEMBLY_PAGE);
      assert.deepEqual(located(memory), located(memory.buffer));
    }
  });

  it('finds the old buffer of a shared WebAssembly.Memory that has grown, and the new one', () => {
    const memory = webAssembly({ shared: true });
    const { buffer } = memory;
    const { address } = assertFound(buffer);
    memory.grow(2);
    assert.deepEqual(assertFound(buffer), { address, length: WEBASSEMBLY_PAGE });
    assert.deepEqual(assertFound(memory), { address, length: 3 * WEBASSEMBLY_PAGE });
  });

  it('refuses a WebAssembly.Memory without pages', () => {
    const memory = webAssembly({ initial: 0 });
    assert.throws(() => located(memory), empty);
    memory.grow(1);
    assertFound(memory);
  });

  it('follows a resizable ArrayBuffer as it shrinks and grows', () => {
    const buffer = resizable(20_000, 40_000);
    const tracking = new Uint8Array(buffer, 1000);
    const trackingDataView = new DataView(buffer, 1000);
    const fixed = new Float64Array(buffer, 800, 100);
    const fixedDataView = new DataView(buffer, 800, 800);
    const all = { buffer, tracking, trackingDataView, fixed, fixedDataView };
    const lengths = () =>
      Object.fromEntries(Object.entries(all).map(([name, memory]) => [name, assertFound(memory).length]));
    const { address } = located(buffer);
    const atFirst = {
      buffer: 20_000,
      tracking: 19_000,
      trackingDataView: 19_000,
      fixed: 800,
      fixedDataView: 800,
    };
    assert.deepEqual(lengths(), atFirst);

    buffer.resize(1600);
    assert.deepEqual(lengths(), { ...atFirst, buffer: 1600, tracking: 600, trackingDataView: 600 });

    buffer.resize(900);
    assert.equal(assertFound(buffer).length, 900);
    for (const memory of [tracking, trackingDataView, fixed, fixedDataView])
      assert.throws(() => located(memory), outside);

    buffer.resize(1000);
    assert.throws(() => located(tracking), empty, 'it starts at the very end');
    assert.throws(() => located(trackingDataView), empty);

    buffer.resize(0);
    assert.throws(() => located(buffer), empty);
    for (const memory of [tracking, trackingDataView, fixed, fixedDataView])
      assert.throws(() => located(memory), outside);

    buffer.resize(40_000);
    assert.deepEqual(lengths(), { ...atFirst, buffer: 40_000, tracking: 39_000, trackingDataView: 39_000 });
    assert.equal(located(buffer).address, address, 'it stays where it is');
  });

  describe('as a cache sees it', () => {
    let cache: RegistrationCache;

    beforeEach(() => {
      cache = new RegistrationCache({ monitor: new ModelMonitor(), registrar: nullRegistrar });
    });

    afterEach(() => {
      cache.close();
    });

    /** Fails unless what is acquired covers the bytes that the memory has now. */
    function assertCovered(memory: Memory): void {
      const bytes = assertFound(memory);
      using registration = cache.acquire(memory);
      assert.ok(registration.address <= bytes.address);
      assert.ok(registration.address + registration.length >= bytes.address + bytes.length);
    }

    for (const [kind, make] of Object.entries(KINDS)) {
      it(`acquires ${kind}`, () => {
        const memory = make(2000);
        assertCovered(memory);
        assertCovered(memory);
        assert.equal(cache.statistics().hits, 1);
      });
    }

    it('covers all that a buffer has grown to', () => {
      const buffer = resizable(5000, 100_000);
      const shared = growable(5000, 100_000);
      const memory = webAssembly();
      for (const each of [buffer, shared, memory]) assertCovered(each);
      buffer.resize(100_000);
      shared.grow(100_000);
      memory.grow(3);
      for (const each of [buffer, shared, memory]) assertCovered(each);
      assert.equal(cache.statistics().misses, 6);
    });

    it('refuses what was detached after it was acquired', () => {
      const buffer = new ArrayBuffer(5000);
      const memory = webAssembly();
      const old = memory.buffer;
      for (const each of [buffer, old]) assertCovered(each);
      structuredClone(buffer, { transfer: [buffer] });
      memory.grow(1);
      for (const each of [buffer, old]) assert.throws(() => cache.acquire(each), detached);
    });
  });
});
