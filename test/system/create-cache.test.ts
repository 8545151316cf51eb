import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createCache } from '../../src/create-cache.js';
import type { Snapshot } from '../../src/publish/snapshot.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { PROGRAM } from '../cli.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { completions, connectedPair } from './verbs-fixture.js';

const NOWHERE = '/dev/no-ummunotify';

/** Runs `work` while a variable is set. */
function withVariable<T>(name: string, value: string, work: () => T): T {
  process.env[name] = value;
  try {
    return work();
  } finally {
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
    delete process.env[name];
  }
}

describe('createCache without a monitor, over a real device', () => {
  requireStack();
  pagesStay();

  it('sends fresh bytes after every remap, and keeps no pin', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const inbox = b.memory(PAGE_SIZE);
    using cache = createCache(a.pd, { monitor: 'none' });
    const address = map(PAGE_SIZE);
    for (const text of ['first', 'second', 'third']) {
      unmap(address, PAGE_SIZE);
      map(PAGE_SIZE, { at: address });
      bytesAt(address, PAGE_SIZE).write(text);
      using from = cache.acquireRange(address, PAGE_SIZE);
      a.qp.postSend(
        new SendRequests().write(1, address, text.length, from.lkey, inbox.address, inbox.region.rkey),
      );
      const [{ status }] = await completions(a.cq, 1);
      assert.equal(status, 'SUCCESS');
      assert.equal(inbox.bytes.toString('latin1', 0, text.length), text);
    }
    const { registrations, registered, hits } = cache.statistics();
    assert.deepEqual({ registrations, registered, hits }, { registrations: 3, registered: 0, hits: 0 });
    unmap(address, PAGE_SIZE);
  });

  it('takes the module where it is loaded', () => {
    using pair = connectedPair();
    using cache = createCache(pair.a.pd);
    assert.deepEqual(cache.monitorChoice, {
      kind: 'ummunotify',
      wanted: 'auto',
      by: 'default',
      passedOver: [],
    });
    using sharing = createCache(pair.b.pd, { monitor: cache.monitor });
    assert.equal(sharing.monitorChoice, cache.monitorChoice);
  });

  it('works without caching where the module is not loaded, and says why', () => {
    using pair = connectedPair();
    using cache = withVariable('RDMA_REGCACHE_DEVICE', NOWHERE, () => createCache(pair.a.pd));
    const { kind, passedOver } = cache.monitorChoice;
    assert.equal(kind, 'none');
    assert.deepEqual(
      passedOver.map((better) => [better.kind, better.code]),
      [['ummunotify', 'ERR_NO_MONITOR']],
    );
    cache.acquire(Buffer.alloc(PAGE_SIZE)).release();
    assert.equal(cache.statistics().registered, 0);
  });

  it('refuses to do without a module that was asked for by name', () => {
    using pair = connectedPair();
    withVariable('RDMA_REGCACHE_DEVICE', NOWHERE, () => {
      assert.throws(() => createCache(pair.a.pd, { monitor: 'ummunotify' }), {
        code: 'ERR_NO_MONITOR',
        path: NOWHERE,
      });
    });
  });
});

describe('createCache and the environment', () => {
  requireStack();
  pagesStay();

  it('takes limits from it, but not those that the program sets', () => {
    using pair = connectedPair();
    withVariable('RDMA_REGCACHE_MAX_REGISTRATIONS', '7', () => {
      withVariable('RDMA_REGCACHE_MAX_PINNED_BYTES', '2M', () => {
        using operators = createCache(pair.a.pd, { maxPinnedBytes: undefined! });
        assert.deepEqual(operators.limits, { maxRegistrations: 7, maxPinnedBytes: 2 * 2 ** 20 });
        using both = createCache(pair.a.pd, { maxRegistrations: 5 });
        assert.deepEqual(both.limits, { maxRegistrations: 5, maxPinnedBytes: 2 * 2 ** 20 });
      });
    });
  });

  it('starts with bypass on where it says so', () => {
    using pair = connectedPair();
    using cache = withVariable('RDMA_REGCACHE_BYPASS', '1', () => createCache(pair.a.pd));
    assert.equal(cache.bypass, true);
    const memory = Buffer.alloc(PAGE_SIZE);
    cache.acquire(memory).release();
    cache.acquire(memory).release();
    assert.equal(cache.statistics().hits, 0);
  });

  it('lets rdma-regcache stats look where it says so', async () => {
    using pair = connectedPair();
    using cache = withVariable('RDMA_REGCACHE_STATS', '1', () => createCache(pair.a.pd));
    const memory = Buffer.alloc(PAGE_SIZE);
    cache.acquire(memory).release();
    const args = [PROGRAM, 'stats', '--once', '--json', String(process.pid)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { caches } = JSON.parse(stdout) as Snapshot;
    assert.deepEqual(
      caches.map(({ statistics }) => statistics),
      [cache.statistics()],
    );
  });

  it('checks page frames where it says so, unless the program says no', () => {
    using pair = connectedPair();
    withVariable('RDMA_REGCACHE_CHECKING', '1', () => {
      using checking = createCache(pair.a.pd);
      using registration = checking.acquire(Buffer.alloc(PAGE_SIZE));
      using another = checking.acquireRange(registration.address, registration.length);
      assert.notEqual(another, registration, 'each acquire has an object of its own');
      using plain = createCache(pair.a.pd, { checking: false });
      using first = plain.acquireRange(registration.address, registration.length);
      using second = plain.acquireRange(registration.address, registration.length);
      assert.equal(second, first);
    });
  });

  it('refuses what makes no sense, with the name of the variable', () => {
    using pair = connectedPair();
    withVariable('RDMA_REGCACHE_MAX_REGISTRATIONS', 'many', () => {
      assert.throws(() => createCache(pair.a.pd), {
        code: 'ERR_INVALID_OPTION',
        message: /RDMA_REGCACHE_MAX_REGISTRATIONS is N \| unlimited, not 'many'/,
      });
    });
  });
});
