import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { addressOf, type Memory } from '../../src/memory/locate.js';
import { Access } from '../../src/access.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { PAGE_SIZE } from '../../src/system/mapping.js';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';
import { bytesOf, growable, KINDS, resizable, webAssembly, WEBASSEMBLY_PAGE } from '../memory-kinds.js';
import { type FromSender, SENDER, type ToSender } from './memory-worker.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { completions, connectedPair, Side } from './verbs-fixture.js';

/** The longest message: a WebAssembly.Memory that has grown. */
const INBOX = 4 * WEBASSEMBLY_PAGE;

/** So often in a row pages are not moved by chance. */
const ATTEMPTS = 3;

describe('every kind of memory over the real driver and a real device', () => {
  requireStack();
  pagesStay();

  let line: Line;
  let cache: RegistrationCache;

  before(() => {
    line = new Line();
  });

  after(() => {
    if ((line as Line | undefined) === undefined) return;
    line.close();
    assert.equal(pinnedKilobytes(), 0, 'nothing is pinned any more');
  });

  beforeEach(() => {
    cache = line.cache = createCache(line.a.pd);
  });

  afterEach(() => {
    cache.close();
    assert.equal(pinnedKilobytes(), INBOX / 1024, 'only the inbox is pinned');
  });

  const assertArrives = (memory: Memory): Promise<void> => line.assertArrives(memory);

  const counts = () => {
    const { hits, misses, invalidations: stale } = cache.statistics();
    return { hits, misses, stale };
  };

  for (const [kind, make] of Object.entries(KINDS)) {
    it(`sends ${kind}, new bytes with the same registration, and receives into it`, async () => {
      for (let attempt = 1; ; attempt++) {
        const memory = make(2000);
        await assertArrives(memory);
        await assertArrives(memory);
        assert.deepEqual(await line.received(memory), Buffer.from(bytesOf(memory)));
        // Of its own accord, too, the kernel moves pages, to close gaps.
        if (counts().stale !== 0 && attempt < ATTEMPTS) {
          cache.close();
          cache = line.cache = createCache(line.a.pd);
          continue;
        }
        assert.deepEqual(counts(), { hits: 2, misses: 1, stale: 0 });
        break;
      }
    });
  }

  it('sends fresh bytes of a resizable ArrayBuffer that has shrunk and grown again', async () => {
    const buffer = resizable(8 * PAGE_SIZE);
    const tracking = new Uint8Array(buffer, 100);
    const address = addressOf(buffer);
    for (const memory of [buffer, tracking]) {
      await assertArrives(memory);
      // V8 gives back the pages past the new end, and has others there later.
      buffer.resize(PAGE_SIZE + 10);
      buffer.resize(8 * PAGE_SIZE);
      await assertArrives(memory);
      buffer.resize(PAGE_SIZE + 10);
      await assertArrives(memory);
      buffer.resize(8 * PAGE_SIZE);
      await assertArrives(memory);
    }
    assert.equal(addressOf(buffer), address);
    assert.equal(counts().stale, 4);
  });

  it('goes stale in use when a resizable ArrayBuffer shrinks, and is told', async () => {
    const buffer = resizable(8 * PAGE_SIZE);
    const held = cache.acquire(buffer);
    const told = once(cache, 'stale');
    buffer.resize(PAGE_SIZE);
    assert.deepEqual(await told, [held]);
    assert.equal(held.stale, true);
    held.release();
  });

  it('sends all of a growable SharedArrayBuffer that has grown', async () => {
    const buffer = growable(PAGE_SIZE, 8 * PAGE_SIZE);
    const tracking = new Uint8Array(buffer, 100);
    for (const length of [PAGE_SIZE, 3 * PAGE_SIZE, 8 * PAGE_SIZE]) {
      buffer.grow(length);
      await assertArrives(buffer);
      await assertArrives(tracking);
    }
  });

  for (const shared of [false, true]) {
    it(`sends all of a ${shared ? 'shared ' : ''}WebAssembly.Memory that has grown`, async () => {
      const memory = webAssembly({ shared });
      const { buffer } = memory;
      await assertArrives(memory);
      memory.grow(2);
      await assertArrives(memory);
      assert.equal(bytesOf(memory).length, 3 * WEBASSEMBLY_PAGE);
      if (shared) await assertArrives(buffer);
      else assert.throws(() => cache.acquire(buffer), { code: 'ERR_DETACHED_BUFFER' });
    });
  }

  it('refuses what was transferred, and sends it from where it went', async () => {
    const memory = allocatePageAligned(3 * PAGE_SIZE);
    await assertArrives(memory);
    const moved = structuredClone(memory, { transfer: [memory.buffer as ArrayBuffer] });
    assert.throws(() => cache.acquire(memory), { code: 'ERR_DETACHED_BUFFER' });
    await assertArrives(moved);
    assert.deepEqual(counts(), { hits: 1, misses: 1, stale: 0 }, 'the same pages are still pinned');
  });

  it('pins for page-aligned memory its own pages and no more', () => {
    const memory = allocatePageAligned(2 * PAGE_SIZE + 1);
    using registration = cache.acquire(memory);
    assert.equal(registration.address, addressOf(memory));
    assert.equal(registration.length, 3 * PAGE_SIZE);
  });

  it('sends what a worker has written', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const shared = new Uint8Array(new SharedArrayBuffer(5000));
       parentPort.on('message', () => {
         require('node:crypto').randomFillSync(shared);
         parentPort.postMessage({ shared, copy: shared.slice() });
       });`,
      { eval: true },
    );
    try {
      for (let round = 0; round < 3; round++) {
        worker.postMessage('write');
        const [{ shared, copy }] = (await once(worker, 'message')) as [Record<'shared' | 'copy', Uint8Array>];
        assert.deepEqual(await line.sent(shared), Buffer.from(copy));
      }
      assert.deepEqual(counts(), { hits: 2, misses: 1, stale: 0 }, 'other objects, the same memory');
    } finally {
      await worker.terminate();
    }
  });
});

describe('memory of two threads, each with a device, a protection domain and a cache of its own', () => {
  requireStack();
  pagesStay();

  let line: Line;
  let worker: Worker;
  let side: Side;
  let inbox: Inbox;

  async function ask(message?: ToSender): Promise<FromSender> {
    if (message) worker.postMessage(message);
    return ((await once(worker, 'message')) as [FromSender])[0];
  }

  before(async () => {
    line = new Line();
    line.cache = createCache(line.a.pd);
    side = new Side();
    inbox = new Inbox(side);
    worker = new Worker(new URL('memory-worker.js', import.meta.url), { workerData: SENDER });
    const { endpoint } = await ask();
    side.qp.connect(endpoint!);
    await ask({ connect: side.qp.local });
  });

  after(async () => {
    if ((worker as Worker | undefined) === undefined) return;
    const exited = once(worker, 'exit');
    worker.postMessage({ end: true } satisfies ToSender);
    assert.deepEqual(await exited, [0]);
    side.close();
    line.cache.close();
    line.close();
    assert.equal(pinnedKilobytes(), 0, 'nothing is pinned any more');
  });

  it('sends fresh bytes of a buffer that both have registered, whichever of them changed its pages', async () => {
    const memory = allocatePageAligned(4 * PAGE_SIZE, { shared: true });
    /** Both send; what their caches have counted then. */
    const bothSend = async () => {
      await line.assertArrives(memory);
      randomFillSync(memory);
      const received = inbox.next();
      const { hits, invalidations } = await ask({ send: memory });
      assert.deepEqual(await received, Buffer.from(memory));
      const here = line.cache.statistics();
      return { hits: [here.hits, hits], invalidations: [here.invalidations, invalidations] };
    };
    assert.deepEqual(await bothSend(), { hits: [0, 0], invalidations: [0, 0] });
    assert.deepEqual(await bothSend(), { hits: [1, 1], invalidations: [0, 0] });
    madvise(addressOf(memory), memory.length, MADV_DONTNEED);
    assert.deepEqual(await bothSend(), { hits: [1, 1], invalidations: [1, 1] });
    await ask({ drop: memory });
    assert.deepEqual(await bothSend(), { hits: [1, 1], invalidations: [2, 2] });
    // What one lets go of, the other still has.
    line.cache.flush();
    assert.deepEqual(await bothSend(), { hits: [1, 2], invalidations: [2, 2] });
  });
});

/** Two connected sides: a sends through a cache, b receives. */
class Line {
  readonly #pair = connectedPair();
  readonly a = this.#pair.a;
  readonly b = this.#pair.b;
  readonly inbox = new Inbox(this.b);
  declare cache: RegistrationCache;

  /** What the receiver gets of the memory as it is now. */
  async sent(memory: Memory): Promise<Buffer> {
    const { qp, cq } = this.a;
    const received = this.inbox.next();
    using registration = this.cache.acquire(memory);
    const { lkey } = registration;
    qp.postSend(new SendRequests().send(2, addressOf(memory), bytesOf(memory).length, lkey));
    await completions(cq, 1);
    return await received;
  }

  /** Fails unless bytes that were never there before arrive as they are. */
  async assertArrives(memory: Memory): Promise<void> {
    const bytes = bytesOf(memory);
    randomFillSync(bytes);
    assert.deepEqual(await this.sent(memory), Buffer.from(bytes));
  }

  /** Receive bytes that were never there before into the memory; what they are. */
  async received(memory: Memory): Promise<Buffer> {
    const { address, bytes, region } = this.inbox.memory;
    const { length } = bytesOf(memory);
    const message = randomFillSync(Buffer.alloc(length));
    message.copy(bytes);
    using into = this.cache.acquire(memory);
    this.a.qp.postReceive(new ReceiveRequests().receive(1, addressOf(memory), length, into.lkey));
    this.b.qp.postSend(new SendRequests().send(2, address, length, region.lkey));
    await Promise.all([completions(this.a.cq, 1), completions(this.b.cq, 1)]);
    return message;
  }

  close(): void {
    this.#pair[Symbol.dispose]();
  }
}

/** Where one side of a connection receives. */
class Inbox {
  readonly memory;
  readonly #side: Side;

  constructor(side: Side) {
    this.#side = side;
    this.memory = side.memory(INBOX, Access.LOCAL_WRITE);
  }

  /** The next message. Ready for it when this returns. */
  async next(): Promise<Buffer> {
    const { address, bytes, region } = this.memory;
    bytes.fill(0);
    this.#side.qp.postReceive(new ReceiveRequests().receive(1, address, INBOX, region.lkey));
    const [{ byteLength }] = await completions(this.#side.cq, 1);
    return Buffer.from(bytes.subarray(0, byteLength));
  }
}

/** What RDMA has pinned for this process, as the kernel counts it. */
function pinnedKilobytes(): number {
  return Number(/^VmPin:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]);
}
