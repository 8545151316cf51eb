import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { RegistrationCache } from '../../src/cache/cache.js';
import { Access } from '../../src/access.js';
import { type CacheEvents, CHANNELS } from '../../src/cache/events.js';
import { Entry } from '../../src/cache/registration.js';
import type { PageWitness } from '../../src/memory/page-witness.js';
import { systemError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { at, modelled } from './cache-fixture.js';

const REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE;
const range = (first: number, end: number) => ({ address: at(first), length: at(end) - at(first) });

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  await turn();
  const pending = Symbol('pending');
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

describe('cache: invalidate', () => {
  it('put_and_invalidate: settles after the last release, and hands out the old one no more', async () => {
    const { cache, registrar, pages, assertNothingLeft } = modelled();
    const [held, again] = [pages(0, 4), pages(1, 2)];
    assert.equal(again, held);
    const done = cache.invalidate(range(2, 3));
    assert.notEqual(pages(0, 4).lkey, held.lkey);
    assert.equal(held.stale, false, 'its pages are still the right ones');
    held.release();
    assert.equal(await settled(done), false);
    again.release();
    await done;
    assert.equal(registrar.pinned.size, 1);
    for (const { address } of cache.registrations()) assert.equal(address, at(0));
    pages(0, 4).release();
    cache.registrations();
    assert.throws(assertNothingLeft);
  });

  it('takes all that overlap, of all rights, and no neighbour', async () => {
    const { cache, pages } = modelled({ keepRemote: true });
    pages(0, 2).release();
    pages(1, 3).release();
    pages(3, 4).release();
    pages(2, 3, Access.NONE).release();
    cache.acquireRange(at(2) + 100, 10, REMOTE).release();
    cache.acquireRange(at(2) - 100, 100, REMOTE).release();
    await cache.invalidate({ address: at(2) + 50, length: 100 });
    assert.deepEqual(
      cache.registrations().map(({ address, length }) => [address, length]),
      [
        [at(0), 2 * PAGE_SIZE],
        [at(2) - 100, 100],
        [at(3), PAGE_SIZE],
      ],
    );
  });

  it('waits for what the device will not deregister', async () => {
    const { cache, registrar, pages } = modelled();
    pages(0, 1).release();
    registrar.beforeDeregister = () => {
      throw systemError(constants.errno.EBUSY, 'ibv_dereg_mr');
    };
    const done = cache.invalidate(range(0, 1));
    assert.equal(await settled(done), false);
    registrar.beforeDeregister = undefined;
    cache.flush();
    await done;
  });

  it('waits for one that was retired before, and not for one that is gone', async () => {
    const { cache, pages } = modelled();
    const held = pages(0, 1);
    cache.flush();
    const done = cache.invalidate(range(0, 1));
    assert.equal(await settled(done), false);
    held.release();
    await done;
    const once = cache.acquireUncached(range(0, 1));
    const again = cache.invalidate(range(0, 1));
    assert.equal(await settled(again), false);
    once.release();
    await again;
    assert.ok(await settled(cache.invalidate(range(0, 1))), 'nothing is left to wait for');
  });

  it('gives up waiting when it is told to', async () => {
    const { cache, pages } = modelled();
    const held = pages(0, 1);
    const controller = new AbortController();
    const done = cache.invalidate(range(0, 1), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(done, { message: 'enough' });
    await assert.rejects(cache.invalidate(range(0, 1), { signal: controller.signal }), { message: 'enough' });
    held.release();
    assert.equal(cache.statistics().registered, 0, 'what was asked for stays asked for');
  });

  it('refuses what is no memory and a closed cache', () => {
    const { cache } = modelled();
    assert.throws(() => cache.invalidate({ address: -1, length: 1 }), { code: 'ERR_INVALID_ADDRESS' });
    assert.throws(() => cache.invalidate('memory' as never), { code: 'ERR_NOT_MEMORY' });
    assert.throws(() => cache.invalidate(null as never), { code: 'ERR_NOT_MEMORY' });
    cache.close();
    assert.throws(() => cache.invalidate(range(0, 1)), { code: 'ERR_CLOSED' });
  });
});

describe('cache: limits at run time', () => {
  it('change limits: evicts what is over a lower one, oldest first', () => {
    const { cache, pages } = modelled();
    for (const page of [0, 2, 4, 6]) pages(page, page + 1).release();
    cache.setLimits({ maxRegistrations: 2 });
    assert.deepEqual(
      cache.registrations().map(({ address }) => address),
      [at(4), at(6)],
    );
    assert.deepEqual(cache.limits, { maxRegistrations: 2, maxPinnedBytes: Infinity });
    cache.setLimits({ maxRegistrations: 10, maxPinnedBytes: PAGE_SIZE });
    assert.equal(cache.statistics().registered, 1);
    cache.setLimits({ maxPinnedBytes: Infinity });
    for (const page of [0, 2, 4, 6]) pages(page, page + 1).release();
    assert.equal(cache.statistics().registered, 4);
  });

  it('leaves what is in use until its release', () => {
    const { cache, pages } = modelled();
    const held = [pages(0, 1), pages(2, 3)];
    cache.setLimits({ maxRegistrations: 1 });
    assert.equal(cache.statistics().registered, 2);
    for (const registration of held) registration.release();
    assert.equal(cache.statistics().registered, 1);
  });

  it('refuses limits that are none', () => {
    const { cache } = modelled();
    for (const limits of [{ maxRegistrations: 0 }, { maxPinnedBytes: NaN }, { maxPinnedBytes: '1' as never }])
      assert.throws(
        () => {
          cache.setLimits(limits);
        },
        { code: 'ERR_INVALID_OPTION' },
      );
    assert.deepEqual(cache.limits, { maxRegistrations: 65_536, maxPinnedBytes: Infinity });
  });
});

describe('cache: registrations for one acquire', () => {
  it('are not kept, not found, and leave the others alone', () => {
    const { cache, registrar, pages, assertFresh } = modelled();
    pages(0, 4).release();
    const once = cache.acquireUncached(range(1, 2));
    const other = cache.acquireUncached(range(1, 2));
    assert.notEqual(once.lkey, other.lkey);
    assertFresh(once, 1, 2);
    assert.equal(registrar.pinned.size, 3);
    once.release();
    other.release();
    assert.equal(registrar.pinned.size, 1);
    pages(1, 2);
    assert.equal(cache.statistics().hits, 1);
    assert.equal(cache.statistics().uncached, 2);
  });

  it('hear of it when they go stale', () => {
    const { cache, space, assertNothingLeft } = modelled();
    const once = cache.acquireUncached(range(0, 1));
    space.map(at(0), at(1));
    cache.drain();
    assert.equal(once.stale, true);
    once.release();
    assertNothingLeft();
  });

  it('are what memory gets that the monitor cannot see, also within a merge', () => {
    const { cache, monitor, registrar, pages, assertFresh, assertNothingLeft } = modelled({ merge: true });
    monitor.cannotWatch = (start, end) => start < at(8) && end > at(4);
    pages(0, 4).release();
    const first = pages(4, 6);
    const second = pages(4, 6);
    assert.notEqual(first.lkey, second.lkey);
    assertFresh(first, 4, 6);
    assert.equal(first.length, 2 * PAGE_SIZE);
    first.release();
    second.release();
    assert.deepEqual(
      [...registrar.pinned].map(({ start }) => start),
      [at(0)],
    );
    assert.equal(monitor.watches.size, 1);
    assert.equal(cache.statistics().uncached, 2);
    assert.equal(cache.statistics().misses, 1);
    cache.flush();
    assertNothingLeft();
  });

  it('leave nothing behind when they fail', () => {
    const { cache, registrar, assertNothingLeft } = modelled();
    registrar.beforeRegister = () => {
      throw systemError(constants.errno.EINVAL, 'ibv_reg_mr');
    };
    assert.throws(() => cache.acquireUncached(range(0, 1)), { code: 'EINVAL' });
    assertNothingLeft();
  });

  it('bypass: all are, until it is switched off, and what was cached is still there', () => {
    const { cache, pages, registrar } = modelled();
    pages(0, 1).release();
    cache.bypass = true;
    const first = pages(0, 1);
    const second = pages(0, 1);
    assert.notEqual(first.lkey, second.lkey);
    first.release();
    second.release();
    assert.equal(registrar.pinned.size, 1);
    cache.bypass = false;
    pages(0, 1).release();
    assert.equal(cache.statistics().hits, 1);
    assert.throws(() => (cache.bypass = 1 as never), { code: 'ERR_INVALID_OPTION' });
  });

  it('bypass: goes past the cache whatever the counter shows', () => {
    const { cache, monitor, space, pages } = modelled();
    pages(0, 1).release();
    pages(2, 3).release();
    cache.bypass = true;
    // What the cache compares instead of the counter must be nothing that it could have drained to.
    for (let moves = 0; moves < 3; moves++) {
      pages(0, 1).release();
      assert.equal(cache.statistics().hits, 0, `counter ${monitor.counter[0]}`);
      using once = cache.acquireUncached(range(2, 3));
      space.map(at(2), at(3));
      cache.drain();
      assert.ok(once.stale);
    }
  });

  it('bypass: does not make the cache blind', () => {
    const { cache, space, pages, assertFresh } = modelled();
    pages(0, 1).release();
    cache.bypass = true;
    space.map(at(0), at(1));
    pages(4, 5).release();
    cache.bypass = false;
    assertFresh(pages(0, 1), 0, 1);
    assert.equal(cache.statistics().hits, 0);
  });
});

describe('cache: pins', () => {
  it('are never evicted and not flushed', () => {
    const { cache, pages, registrar } = modelled({ maxRegistrations: 1 });
    const pin = cache.pin(range(0, 2));
    pages(4, 5).release();
    pages(6, 7).release();
    cache.flush();
    assert.deepEqual(
      [...registrar.pinned].map(({ key }) => key),
      [pin.lkey],
    );
    assert.equal(pages(0, 1).lkey, pin.lkey);
    pin.release();
    cache.flush();
    assert.equal(cache.registrations()[0].retired, true, 'an acquire without a pin is still there');
  });

  it('count', () => {
    const { cache } = modelled();
    const [first, second] = [cache.pin(range(0, 1)), cache.pin(range(0, 1))];
    assert.equal(first.lkey, second.lkey);
    first.release();
    assert.throws(
      () => {
        first.release();
      },
      { code: 'ERR_DOUBLE_RELEASE' },
    );
    cache.flush();
    assert.equal(cache.registrations()[0].retired, false);
    second.release();
    cache.flush();
    assert.equal(cache.registrations().length, 0);
  });

  it('do not hide that their mapping changed', () => {
    const { cache, space } = modelled();
    using pin = cache.pin(range(0, 1));
    space.map(at(0), at(1));
    cache.drain();
    assert.equal(pin.stale, true);
  });
});

describe('cache: merging', () => {
  it('merge: an overlap or a neighbour of idle registrations becomes one with them', () => {
    const { cache, pages, registrar, assertFresh } = modelled({ merge: true });
    pages(0, 2).release();
    pages(4, 6).release();
    assert.equal(registrar.pinned.size, 2);
    const merged = pages(1, 4);
    assertFresh(merged, 0, 6);
    assert.equal(registrar.pinned.size, 1);
    assert.equal(pages(0, 6), merged);
    assert.equal(cache.statistics().merges, 1);
  });

  it('merge_aligned: not with what lies apart, has other rights, or is in use', () => {
    const { pages, registrar, cache } = modelled({ merge: true });
    pages(0, 1).release();
    pages(2, 3, Access.NONE).release();
    const held = pages(5, 7);
    pages(3, 4).release();
    pages(4, 6).release();
    assert.equal(cache.statistics().merges, 1, '3 to 4 with 4 to 6');
    assert.ok(registrar.pinned.has(registrar.byKey(held.lkey)));
    assert.equal(pages(5, 7), held);
  });

  it('merge_inv: a change anywhere ends all of it', () => {
    const { pages, space, assertFresh } = modelled({ merge: true });
    pages(0, 1).release();
    pages(1, 2).release();
    space.map(at(0), at(1));
    assertFresh(pages(1, 2), 1, 2);
    assertFresh(pages(0, 1), 0, 1);
  });

  it('what cannot be had together is had alone', () => {
    const { pages, registrar, cache } = modelled({ merge: true });
    pages(0, 1).release();
    registrar.beforeRegister = (start, end) => {
      if (end - start > PAGE_SIZE) throw systemError(constants.errno.EFAULT, 'ibv_reg_mr');
    };
    pages(1, 2).release();
    assert.equal(registrar.pinned.size, 2);
    assert.equal(cache.statistics().merges, 0);
  });

  it('stays below the limit of pinned bytes, and is off unless asked for', () => {
    for (const limits of [{ merge: true, maxPinnedBytes: 2 * PAGE_SIZE }, {}]) {
      const { pages, cache } = modelled(limits);
      for (const page of [0, 1, 2]) pages(page, page + 1).release();
      assert.equal(cache.statistics().merges, limits.merge ? 1 : 0);
    }
  });
});

describe('cache: several on one monitor', () => {
  it('hear of their own changes, whoever drains', () => {
    const { space, monitor, cache, pages, sharing } = modelled({}, 64);
    const other = sharing();
    pages(0, 1).release();
    other.pages(0, 1).release();
    other.pages(2, 3).release();
    space.map(at(0), at(1));
    cache.drain();
    assert.equal(cache.statistics().invalidations, 1);
    assert.equal(other.cache.statistics().invalidations, 1);
    other.assertFresh(other.pages(0, 1), 0, 1);
    other.pages(2, 3);
    assert.equal(other.cache.statistics().hits, 1);
    assert.equal(other.cache.statistics().drains, 0);
    assert.equal(monitor.watches.size, 2);
  });

  it('unpin their own, whoever drains', () => {
    const { space, cache, sharing } = modelled();
    const others = [sharing(), sharing()];
    for (const { pages } of others) pages(0, 1).release();
    space.map(at(0), at(1));
    cache.drain();
    for (const { registrar } of others) assert.equal(registrar.pinned.size, 0);
  });

  it('close it when the last one closes', () => {
    const { cache, monitor, pages, sharing, assertNothingLeft } = modelled();
    const other = sharing();
    other.pages(0, 1).release();
    pages(0, 1).release();
    cache.close();
    assert.equal(monitor.closed, false);
    other.pages(0, 1).release();
    assert.equal(other.cache.statistics().hits, 1);
    other.cache.close();
    assert.equal(monitor.closed, true);
    assertNothingLeft();
  });

  it('flush, list and invalidate only their own', async () => {
    const { cache, pages, sharing } = modelled();
    const other = sharing();
    pages(0, 1).release();
    other.pages(0, 1).release();
    await cache.invalidate(range(0, 1));
    cache.flush();
    assert.equal(cache.registrations().length, 0);
    assert.equal(other.cache.registrations().length, 1);
  });
});

describe('cache: checking mode', () => {
  function checked() {
    const witness: PageWitness = {
      frames: (start, end) => BigUint64Array.from(world.space.frames(start, end), BigInt),
    };
    const world = modelled({ witness });
    return world;
  }

  it('throws when a page is no longer the pinned one and nobody has said so', () => {
    const { space, pages, cache } = checked();
    pages(0, 4).release();
    pages(0, 4).release();
    assert.equal(cache.statistics().hits, 1);
    space.remapSilently(at(2), at(3));
    assert.throws(() => pages(0, 4), { code: 'ERR_STALE_REGISTRATION', address: at(2), length: PAGE_SIZE });
  });

  it('does not mind changes that are reported', () => {
    const { space, pages, assertFresh, cache, assertNothingLeft } = checked();
    pages(0, 4).release();
    space.map(at(2), at(3));
    const fresh = pages(0, 4);
    assertFresh(fresh, 0, 4);
    fresh.release();
    cache.close();
    assertNothingLeft();
  });

  it('does not mind a change by another thread at the last moment, which is reported with the next drain', () => {
    const { space, monitor, pages, assertFresh, cache } = checked();
    pages(0, 1).release();
    pages(4, 5).release();
    space.map(at(4), at(5));
    monitor.afterLast = () => {
      monitor.afterLast = undefined;
      space.map(at(0), at(1));
    };
    assertFresh(pages(0, 1), 0, 1);
    assert.equal(cache.statistics().invalidations, 2);
  });

  it('names the release that was one too many', () => {
    const { pages } = checked();
    const [mine, yours] = [pages(0, 1), pages(0, 1)];
    mine.release();
    assert.throws(
      () => {
        mine.release();
      },
      { code: 'ERR_DOUBLE_RELEASE' },
    );
    yours.release();
  });

  it('leaves nothing behind when the witness fails', () => {
    const { pages, cache, assertNothingLeft } = modelled({
      witness: {
        frames: () => {
          throw new Error('blind');
        },
      },
    });
    assert.throws(() => pages(0, 1), { message: 'blind' });
    cache.close();
    assertNothingLeft();
  });
});

describe('cache: events', () => {
  it('tell what was registered, retired and evicted, and why', async () => {
    const { cache, pages, space } = modelled({ maxRegistrations: 2 });
    const told: string[] = [];
    const page = ({ address }: { address: number }) => (address - at(0)) / PAGE_SIZE;
    cache.on('register', (info) => told.push(`register ${page(info)}`));
    cache.on('evict', (info) => told.push(`evict ${page(info)}`));
    cache.on('retire', (info, reason) => told.push(`retire ${page(info)} ${reason}`));
    cache.on('stale', (registration) => told.push(`stale ${page(registration)}`));
    const held = pages(0, 1);
    pages(2, 3).release();
    pages(4, 5).release();
    space.map(at(0), at(1));
    cache.drain();
    held.release();
    void cache.invalidate(range(4, 5));
    pages(6, 7).release();
    cache.flush();
    assert.deepEqual(told, [], 'after the operations, not inside them');
    await turn();
    assert.deepEqual(told, [
      'register 0',
      'register 2',
      'evict 2',
      'retire 2 evicted',
      'register 4',
      'retire 0 stale',
      'stale 0',
      'retire 4 invalidated',
      'register 6',
      'retire 6 flushed',
    ]);
  });

  it('carry the registration as it was, once each to the listeners and to the diagnostics channels', async () => {
    const { cache, pages, space } = modelled({ maxRegistrations: 2 });
    const told: Record<keyof CacheEvents, unknown[]> = { register: [], retire: [], evict: [], stale: [] };
    const heard: Record<keyof CacheEvents, unknown[]> = { register: [], retire: [], evict: [], stale: [] };
    const listeners = Object.entries(CHANNELS).map(([event, { name }]) => ({
      name,
      listen: (message: unknown) => heard[event as keyof CacheEvents].push(message),
    }));
    for (const event of ['register', 'retire', 'evict', 'stale'] as const)
      cache.on(event, (...payload: unknown[]) => told[event].push(payload));
    for (const { name, listen } of listeners) subscribe(name, listen);
    try {
      pages(2, 4).release();
      pages(4, 5).release();
      const held = pages(0, 1, Access.NONE);
      space.map(at(0), at(1));
      cache.drain();
      await turn();
      const page = { access: Access.LOCAL_WRITE, uses: 0, retired: false, stale: false };
      const [first, second, third] = [
        { ...page, ...range(2, 4), lkey: 1, rkey: 1 },
        { ...page, ...range(4, 5), lkey: 2, rkey: 2 },
        { ...page, ...range(0, 1), lkey: 3, rkey: 3, access: Access.NONE },
      ];
      const infos: Record<keyof CacheEvents, unknown[][]> = {
        register: [first, second, third].map((info) => [{ ...info, uses: 1 }]),
        evict: [[first]],
        retire: [
          [{ ...first, retired: true }, 'evicted'],
          [{ ...third, uses: 1, retired: true, stale: true }, 'stale'],
        ],
        stale: [[held]],
      };
      assert.deepEqual(told, infos);
      assert.equal(told.stale.flat()[0], held, 'the registration itself, to be released');
      for (const event of ['register', 'retire', 'evict', 'stale'] as const)
        assert.deepEqual(
          heard[event],
          infos[event].map(([registration, reason]) => ({
            cache,
            registration,
            ...(reason === undefined ? {} : { reason }),
          })),
          event,
        );
    } finally {
      for (const { name, listen } of listeners) unsubscribe(name, listen);
    }
  });

  it('are on channels with names that stay', () => {
    assert.deepEqual(
      Object.entries(CHANNELS).map(([event, { name }]) => [event, name]),
      [
        ['register', 'rdma-regcache:register'],
        ['retire', 'rdma-regcache:retire'],
        ['evict', 'rdma-regcache:evict'],
        ['stale', 'rdma-regcache:stale-in-use'],
      ],
    );
  });

  it('cost nothing when nobody listens: nothing is made and nothing is put off', () => {
    const use = ({ cache, pages, space }: ReturnType<typeof modelled>): void => {
      const held = pages(0, 1);
      pages(2, 3).release();
      pages(4, 5).release();
      space.map(at(0), at(1));
      cache.drain();
      held.release();
      cache.flush();
    };
    // Whatever is told is told in a microtask, and what it is told with has the keys of the registration.
    const counted = (work: () => void): number => {
      const { queueMicrotask } = globalThis;
      const lkey = Object.getOwnPropertyDescriptor(Entry.prototype, 'lkey')!;
      let made = 0;
      globalThis.queueMicrotask = (task) => {
        made++;
        queueMicrotask(task);
      };
      Object.defineProperty(Entry.prototype, 'lkey', {
        configurable: true,
        get(this: Entry): number {
          made++;
          return lkey.get!.call(this) as number;
        },
      });
      try {
        work();
      } finally {
        globalThis.queueMicrotask = queueMicrotask;
        Object.defineProperty(Entry.prototype, 'lkey', lkey);
      }
      return made;
    };
    const world = modelled({ maxRegistrations: 2 });
    assert.equal(
      counted(() => {
        use(world);
      }),
      0,
    );
    for (const event of ['register', 'retire', 'evict', 'stale'] as const) {
      const listened = modelled({ maxRegistrations: 2 });
      listened.cache.on(event, () => undefined);
      const expected = { register: 6, retire: 6, evict: 2, stale: 1 }[event];
      assert.equal(
        counted(() => {
          use(listened);
        }),
        expected,
        event,
      );
    }
  });

  it('may be answered with anything', async () => {
    const { cache, pages, space, assertNothingLeft } = modelled();
    const held = pages(0, 1);
    cache.on('stale', () => {
      held.release();
      pages(0, 1).release();
      cache.drain();
      cache.close();
    });
    space.map(at(0), at(1));
    cache.drain();
    await turn();
    assertNothingLeft();
  });
});

describe('cache: an end that waits', () => {
  it('hands out nothing more, waits for the last release, and closes', async () => {
    const { cache, monitor, pages, assertNothingLeft } = modelled();
    const held = pages(0, 1);
    pages(2, 3).release();
    const end = cache.end();
    assert.throws(() => pages(0, 1), { code: 'ERR_CLOSED' });
    assert.equal(await settled(end), false);
    held.release();
    await end;
    assert.ok(monitor.closed);
    assertNothingLeft();
    await cache.end();
  });

  it('stays shut when one of two is called off', async () => {
    const { cache, pages, assertNothingLeft } = modelled();
    const held = pages(0, 1);
    const off = new AbortController();
    const [called, waiting] = [cache.end({ signal: off.signal }), cache.end()];
    off.abort();
    await assert.rejects(called, { name: 'AbortError' });
    assert.throws(() => pages(1, 2), { code: 'ERR_CLOSED' });
    held.release();
    await waiting;
    assertNothingLeft();
  });

  it('opens again when it is called off', async () => {
    const { cache, pages } = modelled();
    const held = pages(0, 1);
    const controller = new AbortController();
    const end = cache.end({ signal: controller.signal });
    controller.abort(new Error('not now'));
    await assert.rejects(end, { message: 'not now' });
    pages(2, 3).release();
    pages(2, 3).release();
    assert.equal(cache.statistics().hits, 1);
    held.release();
    cache.close();
  });

  it('stays closed when it is called off too late', async () => {
    const { cache, pages, assertNothingLeft } = modelled();
    const held = pages(0, 1);
    const controller = new AbortController();
    const end = cache.end({ signal: controller.signal });
    held.release();
    cache.close();
    controller.abort(new Error('too late'));
    await assert.rejects(end, { message: 'too late' });
    assert.throws(() => pages(0, 1), { code: 'ERR_CLOSED' });
    assertNothingLeft();
  });

  it('ends an await using block', async () => {
    const { cache, assertNothingLeft, pages } = modelled();
    {
      await using closing = cache;
      assert.equal(closing, cache);
      pages(0, 1).release();
    }
    assertNothingLeft();
  });
});

describe('cache: deregistering in turns', () => {
  it('leaves the event loop to others, and is done in the end', async () => {
    const { cache, space, pages, registrar } = modelled({ deregisterFor: 0 });
    for (let page = 0; page < 40; page++) pages(page, page + 1).release();
    space.map(at(0), at(40));
    pages(50, 51).release();
    assert.equal(registrar.pinned.size, 40, 'one in the acquire, one more made');
    assert.equal(cache.statistics().registered, 40);
    await turn();
    await turn();
    assert.ok(cache.statistics().registered < 40);
    for (let n = 0; n < 40; n++) await turn();
    assert.equal(registrar.pinned.size, 1);
  });

  it('what waits counts against the limits and goes first', () => {
    const { space, pages, registrar, cache } = modelled({ deregisterFor: 0, maxRegistrations: 8 });
    for (let round = 0; round < 1000; round++) {
      for (let page = 0; page < 8; page++) pages(page, page + 1).release();
      space.map(at(0), at(8));
      assert.ok(registrar.pinned.size <= 8);
    }
    assert.equal(cache.statistics().evictions, 0, 'nothing good was given up for what was on its way out');
    cache.close();
    assert.equal(registrar.pinned.size, 0);
  });
});

describe('cache: what is registered', () => {
  it('is listed by address, and counted by size', () => {
    const { cache, pages } = modelled();
    const held = pages(8, 9);
    pages(0, 3).release();
    pages(4, 6).release();
    assert.deepEqual(
      cache.registrations().map(({ address, length, uses }) => ({ address, length, uses })),
      [
        { ...range(0, 3), uses: 0 },
        { ...range(4, 6), uses: 0 },
        { ...range(8, 9), uses: 1 },
      ],
    );
    assert.equal(cache.registrations()[2].lkey, held.lkey);
    assert.deepEqual(cache.sizes(), [
      { from: PAGE_SIZE, registrations: 1, bytes: PAGE_SIZE },
      { from: 2 * PAGE_SIZE, registrations: 2, bytes: 5 * PAGE_SIZE },
    ]);
  });
});

describe('cache: bad input', () => {
  it('is refused with a code, and nobody is left with a rejection', async () => {
    const { cache, assertNothingLeft } = modelled();
    const invalid = { code: 'ERR_INVALID_OPTION' };
    for (const options of [null, { signal: 'x' }, { signal: {} }, 5] as never[]) {
      await assert.rejects(cache.acquireAsync(range(0, 1), Access.LOCAL_WRITE, options), invalid);
      await assert.rejects(cache.end(options), invalid);
      assert.throws(() => cache.invalidate(range(0, 1), options), invalid);
    }
    for (const limits of [undefined, null, 5, [], { maxPinnedByte: 5 }, { keepRemote: true }] as never[]) {
      assert.throws(() => {
        cache.setLimits(limits);
      }, invalid);
    }
    for (const access of [2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 40]) {
      assert.throws(() => cache.acquireUncached(range(0, 1), access), { code: 'ERR_INVALID_ACCESS' });
      assert.throws(() => cache.acquireRange(at(0), 1, access), { code: 'ERR_INVALID_ACCESS' });
    }
    cache.close();
    assertNothingLeft();
  });

  it('of a monitor or a registrar names what is missing', () => {
    const { monitor, registrar } = modelled();
    const make = (options: object) => () => new RegistrationCache(options as never);
    assert.throws(make({ monitor: { watch() {} }, registrar }), /option monitor has no unwatch\(\)/);
    const short = { watch() {}, unwatch() {}, drain() {}, close() {}, counter: new Int32Array(1) };
    assert.throws(make({ monitor: short, registrar }), /option monitor has no counter/);
    assert.throws(make({ monitor, registrar: {} }), /option registrar has no register\(\)/);
  });

  it('of who takes the class for createCache lead there', () => {
    const { registrar } = modelled();
    const protectionDomain = { context: {} };
    for (const [options, reason] of [
      [{ monitor: 'none' }, "option monitor is an object that watches memory, not 'none'"],
      [{ monitor: 'none', registrar }, "option monitor is an object that watches memory, not 'none'"],
      [protectionDomain, 'a cache is made of a monitor and a registrar'],
      [{}, 'a cache is made of a monitor and a registrar'],
    ] as const) {
      assert.throws(() => new RegistrationCache(options as never), {
        code: 'ERR_INVALID_OPTION',
        reason,
        advice: /^createCache\(protectionDomain, \{ monitor \}\)/,
      });
    }
  });
});
