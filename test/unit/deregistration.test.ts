import assert from 'node:assert/strict';
import { constants } from 'node:os';
import type { CacheLimits } from '../../src/cache/options.js';
import { systemError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { at, cacheOn, modelled } from './cache-fixture.js';

/** Two pages or more are large. */
const world = (limits: CacheLimits = {}) => modelled({ deregisterOffThreadFrom: 2 * PAGE_SIZE, ...limits });

const whole = (first: number, end: number) => ({ address: at(first), length: at(end) - at(first) });

describe('cache: deregistering by another thread', () => {
  it('what went stale: out of lookup first, counted until it is gone', async () => {
    const { space, cache, registrar, monitor, pages, assertFresh } = world();
    const first = pages(0, 4);
    first.release();
    space.map(at(1), at(2));
    cache.drain();
    assert.equal(registrar.calls.length, 1);
    assert.equal(monitor.watches.size, 0);
    assert.equal(registrar.pinned.size, 1);
    assert.equal(cache.statistics().pinnedBytes, 4 * PAGE_SIZE);
    assertFresh(pages(0, 4), 0, 4);
    assert.equal(cache.statistics().registered, 2);
    await registrar.goOn();
    const { registered, deregistrations, pinnedBytes } = cache.statistics();
    assert.deepEqual(
      { registered, deregistrations, pinnedBytes },
      { registered: 1, deregistrations: 1, pinnedBytes: 4 * PAGE_SIZE },
    );
  });

  it('from a turn of the event loop', async () => {
    const { space, registrar, pages, cache } = world({ eagerDrain: true });
    pages(0, 4).release();
    space.map(at(1), at(2));
    await new Promise(setImmediate);
    assert.deepEqual(await registrar.goOn(), ['deregister']);
    cache.close();
  });

  it('not what is small', () => {
    const { cache, registrar, pages } = world();
    pages(0, 1).release();
    cache.flush();
    assert.equal(registrar.calls.length, 0);
    assert.equal(registrar.pinned.size, 0);
  });

  it('not with a registrar that knows no other way', () => {
    const { space, registrar } = modelled();
    Object.assign(registrar, { deregisterAsync: undefined });
    const { cache, pages } = cacheOn(space, registrar, { deregisterOffThreadFrom: 0 });
    pages(0, 4).release();
    cache.flush();
    assert.equal(registrar.pinned.size, 0);
  });

  it('what cannot even be begun is tried again', async () => {
    const { cache, registrar, pages, assertNothingLeft } = world();
    Object.assign(registrar, {
      deregisterAsync: () => {
        throw systemError(constants.errno.EAGAIN, 'deregister');
      },
    });
    pages(0, 4).release();
    cache.flush();
    await new Promise(setImmediate);
    assert.equal(cache.statistics().deregistrationFailures, 1);
    assert.equal(registrar.pinned.size, 1);
    cache.close();
    assertNothingLeft();
  });

  it('at the last release', async () => {
    const { cache, registrar, pages, assertNothingLeft } = world({ maxPinnedBytes: PAGE_SIZE });
    pages(0, 4).release();
    assert.equal(registrar.pinned.size, 1);
    assert.deepEqual(await registrar.goOn(), ['deregister']);
    cache.close();
    assertNothingLeft();
  });

  it('invalidate waits for it', async () => {
    const { cache, registrar, pages } = world();
    pages(0, 4).release();
    let over = false;
    const done = cache.invalidate(whole(1, 2)).then(() => (over = true));
    const again = cache.invalidate(whole(0, 1));
    await new Promise(setImmediate);
    assert.equal(over, false);
    await registrar.goOn();
    await Promise.all([done, again]);
  });

  for (const end of ['until it is gone', 'also when the device refuses at first']) {
    it(`invalidate waits for what was on its way out before, ${end}`, async () => {
      const { cache, registrar, pages, assertNothingLeft } = world();
      pages(0, 4).release();
      cache.flush();
      if (end !== 'until it is gone') {
        registrar.beforeDeregister = () => {
          throw systemError(constants.errno.EBUSY, 'deregister');
        };
        assert.deepEqual(await registrar.goOn(), ['deregister']);
        registrar.beforeDeregister = undefined;
      }
      let settled = false;
      const ended = cache.invalidate(whole(1, 2)).then(() => (settled = true));
      await new Promise(setImmediate);
      assert.equal(settled, false);
      if (end !== 'until it is gone') cache.flush();
      assert.deepEqual(await registrar.goOn(), ['deregister']);
      await ended;
      assertNothingLeft();
    });
  }

  it('close is refused meanwhile, and does all on the spot otherwise', async () => {
    const { cache, registrar, monitor, pages, assertNothingLeft } = world();
    pages(0, 4).release();
    cache.flush();
    pages(10, 14).release();
    assert.throws(() => {
      cache.close();
    }, /ERR_BUSY.*1 registration.*end\(\)/);
    assert.equal(monitor.closed, false);
    assert.deepEqual(await registrar.goOn(), ['deregister']);
    cache.close();
    assert.ok(monitor.closed);
    assertNothingLeft();
  });

  it('end waits for it, and for what it begins itself', async () => {
    const { cache, registrar, monitor, pages, assertNothingLeft } = world();
    pages(0, 4).release();
    cache.flush();
    pages(10, 14).release();
    const held = pages(20, 24);
    const done = cache.end();
    held.release();
    await new Promise(setImmediate);
    assert.equal(monitor.closed, false);
    assert.deepEqual(await registrar.goOn(), ['deregister', 'deregister', 'deregister']);
    await done;
    assert.ok(monitor.closed);
    assertNothingLeft();
  });

  it('what the device would not let go of is tried again', async () => {
    const { cache, registrar, pages } = world();
    pages(0, 4).release();
    registrar.beforeDeregister = () => {
      throw systemError(constants.errno.EBUSY, 'ibv_dereg_mr');
    };
    const done = cache.invalidate(whole(0, 4));
    assert.deepEqual(await registrar.goOn(), ['deregister']);
    assert.equal(cache.statistics().deregistrationFailures, 1);
    assert.equal(cache.statistics().registered, 1);
    cache.flush();
    assert.deepEqual(await registrar.goOn(), ['deregister']);
    assert.throws(() => {
      cache.close();
    }, /ERR_BUSY.*refused to deregister 1/);
    registrar.beforeDeregister = undefined;
    cache.flush();
    await registrar.goOn();
    await done;
    assert.equal(registrar.pinned.size, 0);
  });

  it('what the monitor would not let go of is not gone', async () => {
    const { cache, registrar, monitor, pages, assertNothingLeft } = world();
    pages(0, 4).release();
    monitor.beforeUnwatch = () => {
      throw systemError(constants.errno.EIO, 'unwatch');
    };
    cache.flush();
    await registrar.goOn();
    assert.equal(registrar.pinned.size, 0);
    assert.equal(monitor.watches.size, 1);
    monitor.beforeUnwatch = undefined;
    cache.close();
    assertNothingLeft();
  });

  it('an acquire on the spot that needs the room has it on the spot', () => {
    const { registrar, pages } = world({ maxRegistrations: 1 });
    pages(0, 4).release();
    pages(10, 14);
    assert.equal(registrar.pinned.size, 1);
    assert.equal(registrar.calls.length, 0);
  });

  it('a larger registration has the room of those it replaces on the spot', () => {
    const { registrar, pages } = world();
    pages(0, 4).release();
    registrar.beforeRegister = () => {
      assert.equal(registrar.pinned.size, 0);
    };
    pages(0, 6);
  });

  it('lower limits take no more than they must', async () => {
    const { cache, registrar, pages } = world();
    for (const first of [0, 10, 20, 30]) pages(first, first + 4).release();
    cache.setLimits({ maxRegistrations: 3 });
    cache.setLimits({ maxPinnedBytes: 8 * PAGE_SIZE });
    assert.equal(cache.statistics().evictions, 2);
    await registrar.goOn();
    assert.equal(registrar.pinned.size, 2);
  });
});
