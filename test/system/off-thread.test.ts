import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { Access } from '../../src/access.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { addressOf } from '../../src/memory/locate.js';
import { MADV_DONTNEED, madvise, mprotect, PROT_READ } from '../../src/system/libc.js';
import { bytesAt, map, unmap } from '../../src/system/mapping.js';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { completions, connectedPair, PAGE_SIZE, type Side } from './verbs-fixture.js';

const LENGTH = 4 * 2 ** 20;

describe('another thread over the real driver and a real device', () => {
  requireStack();
  pagesStay();

  let pair: { a: Side; b: Side; [Symbol.dispose](): void };
  let cache: RegistrationCache;
  let address: number;
  const target = () => ({ address, length: LENGTH });

  beforeEach(() => {
    pair = connectedPair();
    cache = createCache(pair.a.pd, { registerOffThreadFrom: LENGTH, deregisterOffThreadFrom: LENGTH });
    address = map(LENGTH);
  });

  afterEach(async () => {
    await cache.end();
    unmap(address, LENGTH);
    pair[Symbol.dispose]();
    assert.match(readFileSync('/proc/self/status', 'latin1'), /^VmPin:\s*0 kB$/m);
  });

  it('registers without holding up the event loop, what is sent is what is there, also after a change', async () => {
    const { a, b } = pair;
    const bytes = bytesAt(address, LENGTH);
    const inbox = b.memory(PAGE_SIZE);
    for (const text of ['old', 'new']) {
      bytes.fill(text);
      const { registrations } = cache.statistics();
      const acquiring = cache.acquireAsync(target());
      // What was done by another thread is noted in a later turn of the event loop, however quick it was.
      for (let turns = 0; turns < 100; turns++) await Promise.resolve();
      assert.equal(cache.statistics().registrations, registrations, 'this thread has not registered it');
      using registration = await acquiring;
      assert.equal(cache.statistics().registrations, registrations + 1);
      assert.equal(await cache.acquireAsync(target()), registration, 'a hit');
      registration.release();
      b.qp.postReceive(new ReceiveRequests().receive(1, inbox.address, PAGE_SIZE, inbox.region.lkey));
      a.qp.postSend(new SendRequests().send(2, address, PAGE_SIZE, registration.lkey));
      await completions(a.cq, 1);
      await completions(b.cq, 1);
      assert.deepEqual(inbox.bytes, bytes.subarray(0, PAGE_SIZE));
      madvise(address, LENGTH, MADV_DONTNEED);
    }
    const { misses, hits } = cache.statistics();
    assert.deepEqual({ misses, hits }, { misses: 2, hits: 2 });
  });

  it('names the error of the other thread', async () => {
    unmap(address + PAGE_SIZE, PAGE_SIZE);
    await assert.rejects(cache.acquireAsync(target()), { code: 'ERR_NOT_MAPPED', syscall: 'madvise' });
    const { pd } = pair.a;
    await assert.rejects(pd.registerAsync(address, LENGTH, Access.LOCAL_WRITE), {
      code: 'ERR_NOT_MAPPED',
      syscall: 'ibv_reg_mr',
    });
    map(PAGE_SIZE, { at: address + PAGE_SIZE });
    mprotect(address, LENGTH, PROT_READ);
    await assert.rejects(cache.acquireAsync(target()), { code: 'ERR_READ_ONLY_MEMORY' });
    (await cache.acquireAsync(target(), Access.NONE)).release();
  });

  it('undoes what is called off, and all of many at a time', async () => {
    const controller = new AbortController();
    const buffers = Array.from({ length: 300 }, () => Buffer.alloc(PAGE_SIZE));
    const small = createCache(pair.a.pd, { registerOffThreadFrom: 0, deregisterOffThreadFrom: 0 });
    const all = buffers.map((buffer) => small.acquireAsync(buffer, Access.NONE));
    const { signal } = controller;
    setMaxListeners(0, signal);
    const none = buffers.map((buffer) => small.acquireAsync(buffer, Access.LOCAL_WRITE, { signal }));
    controller.abort();
    for (const one of none) await assert.rejects(one, { name: 'AbortError' });
    for (const [i, one] of all.entries()) {
      using registration = await one;
      const start = addressOf(buffers[i]);
      assert.ok(registration.address <= start && registration.address + registration.length > start);
    }
    await small.end();
  });

  it('a protection domain and a region stay open while another thread uses them', async () => {
    const { pd } = pair.a;
    const registered = pd.registerAsync(address, LENGTH, Access.LOCAL_WRITE);
    assert.throws(() => {
      pd.close();
    }, /ERR_BUSY.*pending call/);
    const region = await registered;
    const closed = region.closeAsync();
    assert.throws(() => {
      region.close();
    }, /ERR_BUSY.*pending call/);
    await assert.rejects(region.closeAsync(), { code: 'ERR_BUSY' });
    await closed;
    assert.ok(region.closed);
    await region.closeAsync();
  });
});
