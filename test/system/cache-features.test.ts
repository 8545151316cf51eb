import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { needs } from '../needs.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { completions, connectedPair, type Side } from './verbs-fixture.js';

const REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ;

/** Write from one side to memory of the other; the status of the completion. */
async function write(
  from: Side,
  source: { address: number; lkey: number },
  to: { address: number; rkey: number },
  length: number,
): Promise<string> {
  from.qp.postSend(new SendRequests().write(1, source.address, length, source.lkey, to.address, to.rkey));
  const [{ status }] = await completions(from.cq, 1);
  return status;
}

describe('what the cache offers, over the real driver and a real device', () => {
  requireStack();
  pagesStay();

  let memory = 0;
  const length = 4 * PAGE_SIZE;

  beforeEach(() => {
    memory = map(length);
    bytesAt(memory, length).fill('mine');
  });

  afterEach(() => {
    unmap(memory, length);
  });

  it('remote rights end with the last release: a peer that kept the rkey changes nothing', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    using cache = createCache(b.pd);
    const source = a.memory(PAGE_SIZE);
    source.bytes.fill('peer');
    const from = { address: source.address, lkey: source.region.lkey };
    const granted = cache.acquireRange(memory + 100, 50, REMOTE);
    assert.equal(await write(a, from, { address: memory + 100, rkey: granted.rkey }, 50), 'SUCCESS');
    assert.equal(bytesAt(memory + 100, 4).toString(), 'peer');
    bytesAt(memory, length).fill('mine');
    granted.release();
    assert.notEqual(await write(a, from, { address: memory + 100, rkey: granted.rkey }, 50), 'SUCCESS');
    assert.ok(bytesAt(memory, length).equals(Buffer.alloc(length, 'mine')));
  });

  for (const [where, offset] of [
    ['before', 99],
    ['behind', 101],
  ] as const) {
    it(`remote rights cover exactly the bytes: the neighbour ${where} them in the page is out of reach`, async () => {
      using pair = connectedPair();
      const { a, b } = pair;
      using cache = createCache(b.pd);
      const source = a.memory(PAGE_SIZE);
      using granted = cache.acquireRange(memory + 100, 50, REMOTE);
      const status = await write(
        a,
        { address: source.address, lkey: source.region.lkey },
        { address: memory + offset, rkey: granted.rkey },
        50,
      );
      assert.notEqual(status, 'SUCCESS');
      assert.ok(bytesAt(memory, length).equals(Buffer.alloc(length, 'mine')));
    });
  }

  it('ping-pong: both buffers are remapped before each message, and what arrives is what was sent', async () => {
    using pair = connectedPair();
    const sides = [pair.a, pair.b].map((side) => ({
      side,
      cache: createCache(side.pd),
      buffer: map(length),
    }));
    const rounds = 50;
    try {
      for (let round = 0; round < 2 * rounds; round++) {
        for (const { buffer } of sides) {
          unmap(buffer, length);
          map(length, { at: buffer });
        }
        const [from, to] = round % 2 === 0 ? sides : [sides[1], sides[0]];
        const sent = Buffer.alloc(length, `round ${round} `);
        bytesAt(from.buffer, length).set(sent);
        using source = from.cache.acquireRange(from.buffer, length);
        using target = to.cache.acquireRange(to.buffer, length, REMOTE);
        const local = { address: from.buffer, lkey: source.lkey };
        const remote = { address: to.buffer, rkey: target.rkey };
        assert.equal(await write(from.side, local, remote, length), 'SUCCESS');
        assert.ok(bytesAt(to.buffer, length).equals(sent), `round ${round}`);
      }
      for (const { cache } of sides) {
        const { hits, registered } = cache.statistics();
        assert.equal(hits, 0, 'no registration outlived a remap');
        assert.ok(registered <= 1);
      }
    } finally {
      for (const { cache, buffer } of sides) {
        cache.close();
        unmap(buffer, length);
      }
    }
  });

  it('inv_q_bounded: 40,000 munmaps that nobody asks about leave one event and nothing else behind', () => {
    using pair = connectedPair();
    using cache = createCache(pair.a.pd, { eagerDrain: false });
    const held = cache.acquireRange(memory, length);
    for (let n = 0; n < 40_000; n++) {
      unmap(memory, length);
      map(length, { at: memory });
    }
    let events = 0;
    const { monitor } = cache;
    const drain = monitor.drain.bind(monitor);
    monitor.drain = (sink) => {
      const invalidated = (...event: [number, number, number]): void => {
        events++;
        sink.invalidated(...event);
      };
      drain({ ...sink, invalidated });
    };
    cache.drain();
    assert.equal(events, 1);
    const { drains, invalidations, registered } = cache.statistics();
    assert.deepEqual({ drains, invalidations, registered }, { drains: 1, invalidations: 1, registered: 1 });
    assert.ok(held.stale);
    held.release();
    assert.equal(cache.statistics().registered, 0);
    cache.acquireRange(memory, length).release();
    assert.equal(cache.statistics().drains, 1, 'there was no more to read');
  });

  it('two caches share a monitor: both send fresh bytes, whichever drains', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const cacheA = createCache(a.pd);
    const cacheB = createCache(b.pd, { monitor: cacheA.monitor });
    const target = a.memory(length);
    const other = b.memory(length);
    const sendBy = async (side: Side, cache: RegistrationCache, into: typeof target): Promise<Buffer> => {
      using registration = cache.acquireRange(memory, length);
      const to = { address: into.address, rkey: into.region.rkey };
      assert.equal(await write(side, { address: memory, lkey: registration.lkey }, to, length), 'SUCCESS');
      return Buffer.from(into.bytes);
    };
    for (const text of ['one', 'two', 'three']) {
      unmap(memory, length);
      map(length, { at: memory });
      const expected = Buffer.alloc(length, text);
      bytesAt(memory, length).set(expected);
      assert.ok((await sendBy(a, cacheA, other)).equals(expected));
      assert.ok((await sendBy(b, cacheB, target)).equals(expected));
      assert.equal(cacheB.statistics().invalidations, cacheA.statistics().invalidations);
    }
    assert.equal(cacheA.statistics().invalidations, 2);
    cacheA.close();
    assert.ok((await sendBy(b, cacheB, target)).equals(Buffer.alloc(length, 'three')));
    assert.equal(cacheB.statistics().hits, 1);
    cacheB.close();
  });

  it('checking mode: the page frames agree at every hit, whatever is remapped', function () {
    needs(this, 'root');
    using pair = connectedPair();
    using cache = createCache(pair.a.pd, { checking: true });
    for (let round = 0; round < 30; round++) {
      cache.acquireRange(memory, length).release();
      cache.acquireRange(memory, length).release();
      unmap(memory + PAGE_SIZE, PAGE_SIZE);
      map(PAGE_SIZE, { at: memory + PAGE_SIZE });
    }
    const { hits, invalidations } = cache.statistics();
    assert.deepEqual({ hits, invalidations }, { hits: 30, invalidations: 29 });
  });

  it('invalidate waits for the device to let go', async () => {
    using pair = connectedPair();
    using cache = createCache(pair.a.pd);
    const held = cache.acquireRange(memory, length);
    const done = cache.invalidate({ address: memory, length: 1 });
    assert.equal(cache.statistics().registered, 1);
    held.release();
    await done;
    assert.equal(cache.statistics().registered, 0);
  });
});
