// The cases of the tests of UCX's registration cache (test_rcache.cc), by their names; those that are with the feature
// they test are in cache-features.test.ts.
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Access } from '../../src/access.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import { systemError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { AddressSpace } from '../model/address-space.js';
import { at, modelled } from './cache-fixture.js';

describe('as UCX tests its cache', () => {
  it('create_fail: a cache that cannot be made leaves nothing behind, and the monitor to others', () => {
    const { monitor, registrar } = new AddressSpace();
    const whenPending = monitor.whenPending.bind(monitor);
    monitor.whenPending = () => {
      throw systemError(constants.errno.EMFILE, 'epoll_create');
    };
    assert.throws(() => new RegistrationCache({ monitor, registrar }), { code: 'EMFILE' });
    assert.throws(() => new RegistrationCache({ monitor, registrar, maxRegistrations: 0 }), {
      code: 'ERR_INVALID_OPTION',
    });
    monitor.whenPending = whenPending;
    new RegistrationCache({ monitor, registrar }).close();
    assert.ok(monitor.closed, 'none of the others counts as a user of it');
  });

  it('basic: get, get again, put, put', () => {
    const { cache, registrar, pages, assertNothingLeft } = modelled();
    const first = pages(0, 4);
    assert.equal(pages(0, 4), first);
    first.release();
    first.release();
    assert.equal(registrar.history.length, 1);
    assert.equal(registrar.pinned.size, 1, 'kept for the next one');
    cache.close();
    assertNothingLeft();
  });

  it('get_unmapped: memory that was freed and allocated again is registered anew', () => {
    const { space, pages, assertFresh } = modelled();
    const first = pages(0, 4);
    const { lkey } = first;
    first.release();
    space.unmap(at(0), at(4));
    space.map(at(0), at(4));
    const second = pages(0, 4);
    assert.notEqual(second.lkey, lkey);
    assertFresh(second, 0, 4);
  });

  it('release_inuse: what is unmapped in use stays pinned until it is released, and then goes', () => {
    const { cache, space, registrar, pages, assertNothingLeft } = modelled();
    const held = pages(0, 4);
    space.unmap(at(0), at(4));
    cache.drain();
    assert.ok(registrar.pinned.has(registrar.byKey(held.lkey)));
    assert.throws(
      () => {
        cache.close();
      },
      { code: 'ERR_BUSY' },
    );
    held.release();
    assertNothingLeft();
    cache.close();
  });

  it('merge_with_unwritable: a neighbour that may not be written stays what it is', () => {
    const { space, pages, registrar, cache } = modelled({ merge: true });
    space.protect(at(1), at(2));
    pages(1, 2, Access.NONE).release();
    pages(0, 1).release();
    assert.throws(() => pages(0, 2), { code: 'ERR_READ_ONLY_MEMORY' });
    assert.equal(registrar.pinned.size, 2);
    assert.equal(cache.statistics().merges, 0);
    pages(1, 2, Access.NONE).release();
    pages(0, 1).release();
    assert.equal(cache.statistics().hits, 2);
  });

  it('expand_prot: one that may be written replaces one that may be read, in use or idle', () => {
    const { registrar, pages } = modelled();
    const reader = pages(0, 2, Access.NONE);
    const writer = pages(0, 2);
    assert.notEqual(writer, reader);
    assert.equal(pages(0, 2, Access.NONE), reader, 'the reader that is in use goes on serving readers');
    reader.release();
    reader.release();
    writer.release();
    const wider = pages(0, 3);
    assert.deepEqual([...registrar.pinned], [registrar.byKey(wider.lkey)], 'both idle ones made way');
    assert.equal(pages(0, 2, Access.NONE), wider);
  });

  it('invalid_prot: writing to what may only be read is refused, and nothing is left or lost', () => {
    const { space, registrar, cache, pages, assertNothingLeft } = modelled();
    space.protect(at(0), at(4));
    assert.throws(() => pages(0, 4), { code: 'ERR_READ_ONLY_MEMORY', address: at(0) });
    assertNothingLeft();
    const reader = pages(0, 4, Access.NONE);
    assert.throws(() => pages(1, 3), { code: 'ERR_READ_ONLY_MEMORY', address: at(1) });
    assert.deepEqual([...registrar.pinned], [registrar.byKey(reader.lkey)]);
    assert.equal(pages(1, 3, Access.NONE), reader);
    reader.release();
    reader.release();
    cache.close();
    assertNothingLeft();
  });

  it('shared_region: pages of two registrations are pinned until both are gone', () => {
    const { space, registrar, pages, assertFresh } = modelled();
    const [left, right] = [pages(0, 4), pages(2, 6)];
    assert.equal(registrar.pinned.size, 2);
    left.release();
    space.map(at(0), at(1));
    assert.equal(
      pages(2, 4),
      right,
      'a change beside the shared pages is no reason to give up the other one',
    );
    assertFresh(right, 2, 6);
    space.map(at(3), at(4));
    const fresh = pages(2, 4);
    assert.notEqual(fresh, right, 'a change of a shared page is');
    assert.ok(right.stale);
    assertFresh(fresh, 2, 4);
  });

  it('register_failure: an error is passed on, and the next attempt is a new one', () => {
    const { cache, registrar, pages, assertNothingLeft } = modelled();
    registrar.beforeRegister = () => {
      throw systemError(constants.errno.EIO, 'ibv_reg_mr');
    };
    for (let n = 1; n <= 3; n++) {
      assert.throws(() => pages(0, 1), { code: 'EIO' });
      assert.equal(cache.statistics().registrationFailures, n);
      assertNothingLeft();
    }
    registrar.beforeRegister = undefined;
    pages(0, 1).release();
    const { acquires, misses, registrations } = cache.statistics();
    assert.deepEqual({ acquires, misses, registrations }, { acquires: 1, misses: 1, registrations: 1 });
  });

  it('by_size_inuse: what is in use is neither evicted nor out of lookup, whatever is over the limit', () => {
    const { cache, registrar, pages } = modelled({ maxPinnedBytes: 3 * PAGE_SIZE });
    const held = [0, 2, 4, 6].map((page) => pages(page, page + 1));
    pages(8, 9).release();
    pages(10, 11).release();
    for (const [n, registration] of held.entries()) {
      const again = pages(2 * n, 2 * n + 1);
      assert.equal(again, registration);
      again.release();
    }
    assert.equal(registrar.history.length, 6);
    for (const registration of held) registration.release();
    assert.equal(cache.statistics().pinnedBytes, 3 * PAGE_SIZE);
  });

  it('statistics: exact, and by size', () => {
    const { cache, space, registrar, pages } = modelled({ maxRegistrations: 4 });
    const [microseconds, counts] = [/Microseconds$/, () => Object.entries(cache.statistics())];
    const nothing = counts();
    assert.ok(nothing.every(([, value]) => value === 0));
    pages(0, 1).release(); // miss
    pages(0, 1).release(); // hit
    const held = pages(2, 4); // miss
    pages(2, 3).release(); // hit
    pages(0, 2).release(); // miss, replaces 0-1
    pages(8, 12).release(); // miss
    pages(16, 24).release(); // miss: four now
    cache.acquireRange(at(30) + 1, 100, Access.LOCAL_WRITE | Access.REMOTE_WRITE).release(); // evicts 0-2
    cache.acquireUncached({ address: at(40), length: 5 }).release();
    space.map(at(3), at(4));
    space.map(at(17), at(18));
    cache.drain(); // 2-4 in use, 16-24 idle
    registrar.beforeRegister = () => {
      registrar.beforeRegister = undefined;
      throw systemError(constants.errno.EINVAL, 'ibv_reg_mr');
    };
    assert.throws(() => pages(50, 51));
    registrar.afterRegister = () => {
      registrar.afterRegister = undefined;
      space.map(at(50), at(51));
    };
    pages(50, 51).release(); // miss, at the second attempt
    assert.deepEqual(Object.fromEntries(counts().filter(([name]) => !microseconds.test(name))), {
      acquires: 10,
      hits: 2,
      misses: 7,
      uncached: 1,
      merges: 0,
      registrations: 9,
      deregistrations: 6,
      evictions: 1,
      replacements: 1,
      invalidations: 2,
      invalidatedInUse: 1,
      drains: 2,
      unstable: 1,
      registrationFailures: 1,
      deregistrationFailures: 0,
      registered: 3,
      pinnedBytes: (2 + 4 + 1) * PAGE_SIZE,
    });
    assert.ok(cache.statistics().registrationMicroseconds > 0);
    assert.ok(cache.statistics().deregistrationMicroseconds > 0);
    assert.deepEqual(cache.sizes(), [
      { from: PAGE_SIZE, registrations: 1, bytes: PAGE_SIZE },
      { from: 2 * PAGE_SIZE, registrations: 1, bytes: 2 * PAGE_SIZE },
      { from: 4 * PAGE_SIZE, registrations: 1, bytes: 4 * PAGE_SIZE },
    ]);
    held.release();
    assert.deepEqual(
      cache.sizes().map(({ from }) => from / PAGE_SIZE),
      [1, 4],
    );
  });

  it('inv_q_bounded: 40,000 munmaps leave no more behind than there are registrations', () => {
    const { cache, monitor, space, registrar, pages } = modelled({ deregisterFor: 0, maxRegistrations: 4 });
    const [registered, slots, cookies] = [new Set<number>(), new Set<number>(), new Set<number>()];
    for (let n = 0; n < 40_000; n++) {
      const page = n % 8;
      pages(page, page + 1).release();
      space.unmap(at(page), at(page + 1));
      // Nobody reads the events for a while; each range is reported once however often it is unmapped.
      space.map(at(page), at(page + 1));
      space.unmap(at(page), at(page + 1));
      space.map(at(page), at(page + 1));
      registered.add(registrar.pinned.size);
      for (const [cookie, { slot }] of monitor.watches) {
        slots.add(slot);
        cookies.add(cookie);
      }
    }
    assert.ok(Math.max(...registered) <= 4, `${Math.max(...registered)} pinned at a time`);
    assert.ok(slots.size <= 6, `${slots.size} slots`);
    assert.equal(cookies.size, 40_000, 'each registration was another one');
    cache.close();
    assert.equal(monitor.watches.size, 0);
  });
});
