import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Access } from '../../src/access.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { Registration } from '../../src/cache/registration.js';
import { systemError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { AddressSpace } from '../model/address-space.js';
import { at, modelled } from './cache-fixture.js';

const REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ;
const noMemory = () => systemError(constants.errno.ENOMEM, 'ibv_reg_mr');
const noPages = () => systemError(constants.errno.EFAULT, 'ibv_reg_mr');

describe('cache: hit and miss', () => {
  it('registers whole pages once and hits for everything inside them', () => {
    const { cache, registrar, pages } = modelled();
    const first = cache.acquireRange(at(2) + 100, 2 * PAGE_SIZE);
    assert.equal(first.address, at(2));
    assert.equal(first.length, 3 * PAGE_SIZE);
    assert.equal(pages(2, 5), first);
    assert.equal(pages(3, 4), first);
    assert.equal(cache.acquireRange(at(5) - 1, 1), first);
    assert.equal(registrar.history.length, 1);
    const { acquires, hits, misses } = cache.statistics();
    assert.deepEqual({ acquires, hits, misses }, { acquires: 4, hits: 3, misses: 1 });
  });

  it('finds the wider of two overlapping registrations and never alternates between them', () => {
    const { registrar, pages } = modelled();
    pages(0, 4).release();
    pages(2, 6).release();
    for (let i = 0; i < 5; i++) {
      pages(0, 4).release();
      pages(2, 6).release();
      pages(2, 4).release();
    }
    assert.equal(registrar.history.length, 2);
  });

  it('gives the shared pages of a retired registration back to the one that overlaps it', () => {
    const { space, registrar, pages } = modelled();
    pages(0, 4).release();
    pages(2, 6).release();
    space.map(at(5), at(6));
    pages(3, 4).release();
    pages(0, 4).release();
    assert.equal(registrar.history.length, 2, 'the first registration still serves its pages');
  });

  it('replaces idle registrations that a new one contains', () => {
    const { cache, registrar, pages } = modelled();
    pages(1, 2).release();
    pages(3, 4).release();
    pages(0, 5).release();
    assert.equal(registrar.pinned.size, 1);
    assert.equal(cache.statistics().replacements, 2);
  });

  it('keeps a contained registration that is in use pinned until its release', () => {
    const { registrar, pages } = modelled();
    const inner = pages(1, 2);
    const outer = pages(0, 5);
    assert.equal(registrar.pinned.size, 2);
    assert.equal(pages(1, 2), outer);
    inner.release();
    assert.equal(registrar.pinned.size, 1);
  });

  it('serves read access from a writable registration, not the other way round', () => {
    const { registrar, pages } = modelled();
    pages(0, 1, Access.NONE).release();
    const writable = pages(0, 1);
    writable.release();
    assert.equal(registrar.pinned.size, 1, 'the narrower one was replaced');
    assert.equal(pages(0, 1, Access.NONE), writable);
  });

  it('registers remote access byte-exactly and for as long as it is in use', () => {
    const { cache, registrar } = modelled();
    const first = cache.acquireRange(at(1) + 64, 100, REMOTE);
    assert.equal(first.address, at(1) + 64);
    assert.equal(first.length, 100);
    assert.equal(cache.acquireRange(at(1) + 64, 100, REMOTE), first);
    const local = cache.acquireRange(at(1) + 64, 100);
    assert.notEqual(local, first, 'a local request never borrows a remote registration, nor lends one');
    first.release();
    assert.equal(registrar.pinned.size, 2);
    first.release();
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.key),
      [local.lkey],
    );
  });

  it('gives a peer exactly the rights and the bytes that were asked for', () => {
    const { cache, pages, registrar } = modelled();
    const local = pages(0, 1);
    const readWrite = cache.acquireRange(at(0), PAGE_SIZE, REMOTE);
    const readOnly = cache.acquireRange(at(0), PAGE_SIZE, Access.REMOTE_READ);
    const shorter = cache.acquireRange(at(0), 100, REMOTE);
    assert.equal(new Set([local, readWrite, readOnly, shorter]).size, 4);
    assert.deepEqual(
      [readWrite, readOnly, shorter].map(({ access, length }) => [access, length]),
      [
        [REMOTE, PAGE_SIZE],
        [Access.REMOTE_READ, PAGE_SIZE],
        [REMOTE, 100],
      ],
    );
    readWrite.release();
    assert.equal(
      cache.acquireRange(at(0), 100, REMOTE),
      shorter,
      'found after its neighbour in the list is gone',
    );
    assert.equal(registrar.byKey(shorter.lkey).access, REMOTE);
  });

  it('does not lend a registration with other rights, nor give one up for them', () => {
    const { registrar, pages } = modelled();
    const plain = pages(1, 2);
    plain.release();
    const relaxed = pages(1, 2, Access.LOCAL_WRITE | Access.RELAXED_ORDERING);
    assert.notEqual(relaxed, plain);
    pages(0, 5, Access.NONE).release();
    assert.equal(pages(1, 2), plain);
    assert.equal(registrar.history.length, 3);
  });

  it('keeps remote registrations when asked to', () => {
    const { cache, registrar, space } = modelled({ keepRemote: true });
    cache.acquireRange(at(1) + 64, 100, REMOTE).release();
    cache.acquireRange(at(1) + 64, 100, REMOTE).release();
    assert.equal(registrar.history.length, 1);
    space.map(at(1), at(2));
    cache.acquireRange(at(1) + 64, 100, REMOTE).release();
    assert.equal(registrar.history.length, 2);
    assert.equal(registrar.pinned.size, 1);
  });
});

describe('cache: invalidation', () => {
  it('never hands out a registration whose pages were remapped', () => {
    const { cache, space, pages, assertFresh } = modelled();
    pages(0, 4).release();
    space.map(at(1), at(2));
    const registration = pages(0, 4);
    assertFresh(registration, 0, 4);
    assert.equal(cache.statistics().invalidations, 1);
  });

  it('keeps what was not hit', () => {
    const { cache, space, registrar, pages } = modelled();
    pages(0, 2).release();
    pages(4, 6).release();
    space.map(at(4), at(5));
    pages(0, 2).release();
    assert.equal(registrar.history.length, 2);
    assert.equal(cache.statistics().registered, 1);
  });

  it('drains once however often the same mapping changed, then hits without draining', () => {
    const { cache, space, pages } = modelled();
    pages(0, 1).release();
    for (let i = 0; i < 10; i++) space.map(at(0), at(1));
    pages(0, 1).release();
    const { drains } = cache.statistics();
    for (let i = 0; i < 10; i++) pages(0, 1).release();
    assert.equal(cache.statistics().drains, drains);
  });

  it('adopts the sample of the counter when a driver loses LAST', () => {
    const { cache, monitor, space, pages } = modelled();
    monitor.losesLast = true;
    pages(0, 1).release();
    space.map(at(0), at(1));
    pages(0, 1).release();
    const { drains } = cache.statistics();
    pages(0, 1).release();
    assert.equal(cache.statistics().drains, drains, 'a lost LAST must not cost a drain per look-up');
  });

  it('notices a counter of which only the high half moved', () => {
    const { cache, monitor, space, pages, assertFresh } = modelled();
    monitor.counter[0] = 5;
    pages(0, 1).release();
    cache.drain();
    space.map(at(0), at(1));
    [monitor.counter[0], monitor.counter[1]] = [5, 1];
    assertFresh(pages(0, 1), 0, 1);
  });

  it('sees a change that comes when the drain has ended but for its last word', () => {
    const { cache, monitor, space, pages, assertFresh } = modelled();
    pages(0, 1).release();
    pages(4, 5).release();
    space.map(at(0), at(1));
    monitor.afterLast = () => {
      monitor.afterLast = undefined;
      space.map(at(4), at(5));
    };
    cache.drain();
    assertFresh(pages(4, 5), 4, 5);
  });

  it('ends a drain even while every event brings on the next', () => {
    const { cache, monitor, space, pages } = modelled();
    for (let page = 0; page < 10; page++) pages(page, page + 1);
    let events = 0;
    monitor.afterEvent = () => {
      assert.ok(++events < 1000, 'the drain does not end');
      space.map(at(0), at(10));
    };
    space.map(at(0), at(10));
    cache.drain();
    assert.equal(events, 10);
  });

  it('takes in every event of a drain although one watch cannot be taken back at once', () => {
    const { cache, monitor, space, pages, assertFresh, assertNothingLeft } = modelled();
    for (const page of [0, 2, 4]) pages(page, page + 1).release();
    monitor.beforeUnwatch = () => {
      monitor.beforeUnwatch = undefined;
      throw systemError(constants.errno.ENOMEM, 'unwatch');
    };
    space.map(at(0), at(5));
    for (const page of [0, 2, 4]) assertFresh(pages(page, page + 1), page, page + 1);
    for (const page of [0, 2, 4]) pages(page, page + 1);
    for (const page of [0, 2, 4]) {
      const registration = pages(page, page + 1);
      for (let uses = 0; uses < 3; uses++) registration.release();
    }
    cache.close();
    assertNothingLeft();
  });

  it('reports a registration that goes stale in use, keeps it pinned until its release, never hands it out', async () => {
    const { cache, space, registrar, pages, assertFresh, assertNothingLeft } = modelled();
    const reported: Registration[] = [];
    cache.on('stale', (registration) => reported.push(registration));
    const held = pages(0, 2);
    space.map(at(0), at(1));
    cache.drain();
    assert.equal(held.stale, true);
    assert.ok(registrar.pinned.has(registrar.byKey(held.lkey)));
    assert.deepEqual(reported, [], 'listeners run after the drain, not inside it');
    await Promise.resolve();
    assert.deepEqual(reported, [held]);
    const next = pages(0, 2);
    assert.notEqual(next, held);
    assertFresh(next, 0, 2);
    held.release();
    next.release();
    cache.close();
    assertNothingLeft();
  });

  it('reports a replaced registration that is still in use when it goes stale', () => {
    const { cache, space, pages } = modelled();
    const inner = pages(1, 2);
    pages(0, 4);
    space.map(at(1), at(2));
    cache.drain();
    assert.equal(inner.stale, true);
    assert.equal(cache.statistics().invalidatedInUse, 2);
  });

  it('allows a listener to acquire, drain, and close', async () => {
    const { cache, space, pages, assertNothingLeft } = modelled();
    const held = pages(0, 1);
    let nested: Registration | undefined;
    cache.on('stale', () => {
      cache.drain();
      nested = pages(0, 1);
      nested.release();
      held.release();
      cache.close();
    });
    space.map(at(0), at(1));
    cache.drain();
    await Promise.resolve();
    assert.ok(nested);
    assert.equal(nested.stale, false);
    assertNothingLeft();
  });

  it('unpins from the event loop what was unmapped while nobody looked', async () => {
    const { space, registrar, pages } = modelled({ eagerDrain: true });
    pages(0, 1).release();
    space.unmap(at(0), at(1));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.equal(registrar.pinned.size, 0);
  });

  it('unpins from the event loop again when draining has failed for a while', async () => {
    const { space, registrar, monitor, pages } = modelled({ eagerDrain: true });
    const turns = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    pages(0, 1).release();
    let failures = 0;
    monitor.beforeDrain = () => {
      failures++;
      throw systemError(constants.errno.EIO, 'read');
    };
    space.unmap(at(0), at(1));
    await turns();
    assert.equal(failures, 1);
    assert.throws(() => pages(2, 3), { code: 'EIO' });
    monitor.beforeDrain = undefined;
    pages(2, 3).release();
    space.unmap(at(2), at(3));
    await turns();
    assert.equal(registrar.pinned.size, 0);
  });

  it('never uses a cookie twice, and uses slots again', () => {
    const { monitor, pages, space } = modelled({ maxRegistrations: 1 });
    const cookies = new Set<number>();
    const slots = new Set<number>();
    for (let n = 0; n < 100; n++) {
      pages(n % 10, (n % 10) + 1).release();
      if (n % 3 === 0) space.map(at(n % 10), at((n % 10) + 1));
      for (const [cookie, { slot }] of monitor.watches) {
        cookies.add(cookie);
        slots.add(slot);
      }
    }
    assert.equal(cookies.size, 100);
    assert.ok(slots.size <= 3, `${slots.size} slots`);
  });

  it('does not take an event for an old registration for one of the next in its slot', () => {
    const { monitor, pages, space, registrar } = modelled();
    pages(0, 1).release();
    const [old] = monitor.watches.keys();
    space.map(at(0), at(1));
    const next = pages(0, 1);
    assert.notEqual([...monitor.watches.keys()][0], old);
    monitor.inject(old);
    pages(0, 1);
    assert.equal(next.stale, false);
    assert.equal(registrar.history.length, 2);
  });
});

describe('cache: generation words', () => {
  it('hit without a drain while others are remapped', () => {
    const { cache, space, pages, assertFresh } = modelled({}, 16);
    pages(0, 1).release();
    pages(4, 5).release();
    for (let i = 0; i < 10; i++) {
      space.map(at(4), at(5));
      const registration = pages(0, 1);
      assertFresh(registration, 0, 1);
      registration.release();
    }
    const { drains, hits } = cache.statistics();
    assert.deepEqual({ drains, hits }, { drains: 0, hits: 10 });
    assertFresh(pages(4, 5), 4, 5);
  });

  it('send a look-up of what was hit to the drain', () => {
    const { cache, space, pages, assertFresh } = modelled({}, 16);
    pages(0, 1).release();
    space.map(at(0), at(1));
    assertFresh(pages(0, 1), 0, 1);
    assert.equal(cache.statistics().drains, 1);
  });

  for (const moment of ['afterWatch', 'afterRegister'] as const) {
    it(`were loaded before the watch: a hit from its first moment on counts (${moment})`, () => {
      const { cache, space, monitor, registrar, pages, assertFresh } = modelled({}, 16);
      // The driver may bump the word at any time from the watch on, and move the counter later than the cache looks.
      const bumpOnce = (): void => {
        monitor.afterWatch = registrar.afterRegister = undefined;
        const [{ slot }] = monitor.watches.values();
        monitor.generations![slot] += 1;
      };
      if (moment === 'afterWatch') monitor.afterWatch = bumpOnce;
      else registrar.afterRegister = bumpOnce;
      pages(0, 1).release();
      space.remapSilently(at(0), at(1));
      monitor.inject([...monitor.watches.keys()][0]);
      assertFresh(pages(0, 1), 0, 1);
      assert.equal(cache.statistics().invalidations, 1);
    });
  }

  it('are done without where there is none for a slot', () => {
    const { cache, space, pages, assertFresh } = modelled({}, 2);
    for (let page = 0; page < 8; page += 2) pages(page, page + 1).release();
    space.map(at(0), at(1));
    for (let page = 0; page < 8; page += 2) assertFresh(pages(page, page + 1), page, page + 1);
    assert.equal(cache.statistics().drains, 1);
  });

  it('of a slot used again belong to its new registration', () => {
    const { cache, space, pages, assertFresh } = modelled({ maxRegistrations: 1 }, 16);
    pages(0, 1).release();
    space.map(at(0), at(1));
    pages(2, 3).release();
    space.map(at(2), at(3));
    assertFresh(pages(2, 3), 2, 3);
    assert.ok(cache.statistics().registered >= 1);
  });
});

describe('cache: making a registration', () => {
  it('watches before it registers', () => {
    const { space, registrar, pages, assertFresh } = modelled();
    // Whatever changes from the moment of pinning on must be seen: only a watch that is already there sees it.
    let changes = 0;
    registrar.afterRegister = () => {
      if (changes++ === 0) space.map(at(0), at(1));
    };
    const registration = pages(0, 1);
    assertFresh(registration, 0, 1);
    assert.equal(registrar.history.length, 2);
    assert.equal(registrar.pinned.size, 1);
  });

  it('sees a change between the watch and the registration', () => {
    const { space, registrar, cache, pages, assertFresh } = modelled();
    let changes = 0;
    registrar.beforeRegister = () => {
      if (changes++ === 0) space.map(at(0), at(1));
    };
    assertFresh(pages(0, 1), 0, 1);
    assert.equal(cache.statistics().unstable, 1);
  });

  it('gives up with ERR_MAPPING_UNSTABLE when the mapping never rests, and leaves nothing behind', () => {
    const { cache, space, registrar, pages, assertNothingLeft } = modelled();
    registrar.afterRegister = () => {
      space.map(at(0), at(1));
    };
    assert.throws(() => pages(0, 1), { code: 'ERR_MAPPING_UNSTABLE', address: at(0) });
    assertNothingLeft();
    registrar.afterRegister = undefined;
    pages(0, 1).release();
    cache.close();
    assertNothingLeft();
  });

  it('leaves nothing behind when the drain after registering fails', () => {
    const { cache, monitor, registrar, pages, assertNothingLeft } = modelled();
    registrar.afterRegister = () => {
      registrar.afterRegister = undefined;
      monitor.counter[0] += 1;
      monitor.beforeDrain = () => {
        monitor.beforeDrain = undefined;
        throw systemError(constants.errno.EIO, 'read');
      };
    };
    assert.throws(() => pages(0, 1), { code: 'EIO' });
    assertNothingLeft();
    pages(0, 1).release();
    cache.close();
    assertNothingLeft();
  });

  it('leaves nothing behind when the keys cannot be read, nor when the watch cannot be taken back at once', () => {
    const { cache, monitor, registrar, pages, assertNothingLeft } = modelled();
    registrar.lkey = () => {
      throw new Error('no key');
    };
    monitor.beforeUnwatch = () => {
      monitor.beforeUnwatch = undefined;
      throw systemError(constants.errno.ENOMEM, 'unwatch');
    };
    assert.throws(() => pages(0, 1), /no key/);
    assert.equal(registrar.pinned.size, 0, 'unpinned although it is still watched');
    cache.close();
    assertNothingLeft();
  });

  it('keeps idle registrations when the refusal is about something else', () => {
    const { registrar, pages } = modelled();
    pages(0, 1).release();
    registrar.beforeRegister = () => {
      throw systemError(constants.errno.EINVAL, 'ibv_reg_mr');
    };
    assert.throws(() => pages(2, 3), { code: 'EINVAL' });
    assert.equal(registrar.pinned.size, 1);
  });

  for (const name of ['ENOMEM', 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOSPC'] as const) {
    it(`takes ${name} for a reason to retire idle registrations`, () => {
      const { registrar, pages } = modelled();
      pages(0, 1).release();
      registrar.beforeRegister = () => {
        if (registrar.pinned.size > 0) throw systemError(constants.errno[name], 'ibv_reg_mr');
      };
      pages(2, 3);
      assert.deepEqual(
        [...registrar.pinned].map((region) => region.start),
        [at(2)],
      );
    });
  }

  it('leaves no watch behind when the device refuses', () => {
    const { registrar, pages, assertNothingLeft } = modelled();
    registrar.beforeRegister = () => {
      throw systemError(constants.errno.EINVAL, 'ibv_reg_mr');
    };
    assert.throws(() => pages(0, 1), { code: 'EINVAL' });
    assertNothingLeft();
  });

  it('registers nothing when the range cannot be watched', () => {
    const { monitor, registrar, pages, assertNothingLeft } = modelled();
    monitor.beforeWatch = () => {
      throw systemError(constants.errno.EIO, 'watch');
    };
    assert.throws(() => pages(0, 1), { code: 'EIO' });
    assert.equal(registrar.history.length, 0);
    assertNothingLeft();
  });

  it('retires idle registrations, oldest first, until the device accepts', () => {
    const { registrar, cache, pages } = modelled();
    for (const page of [0, 2, 4]) pages(page, page + 1).release();
    registrar.beforeRegister = () => {
      if (registrar.pinned.size > 1) throw noMemory();
    };
    pages(8, 9);
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.start),
      [at(4), at(8)],
    );
    assert.equal(cache.statistics().evictions, 2);
  });

  it('retires idle registrations when the monitor has no room for another watch', () => {
    const { monitor, registrar, pages } = modelled();
    pages(0, 1).release();
    monitor.beforeWatch = () => {
      if (monitor.watches.size > 0) throw systemError(constants.errno.ENOSPC, 'watch');
    };
    pages(2, 3);
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.start),
      [at(2)],
    );
  });

  it('says what failed, where, and what is pinned when nothing idle is left to retire', () => {
    const { registrar, pages } = modelled();
    pages(0, 2);
    registrar.beforeRegister = () => {
      throw noMemory();
    };
    assert.throws(
      () => pages(4, 5),
      (error: Error & Record<string, unknown>) => {
        assert.equal(error['code'], 'ERR_REGISTRATION_FAILED');
        assert.equal(error['errno'], -constants.errno.ENOMEM);
        assert.equal(error['syscall'], 'ibv_reg_mr');
        assert.equal(error['address'], at(4));
        assert.equal(error['length'], PAGE_SIZE);
        assert.match(error.message, new RegExp(`1 registrations pin ${2 * PAGE_SIZE} bytes`));
        return true;
      },
    );
  });

  it('refuses memory that is not mapped', () => {
    const { space, pages, assertNothingLeft } = modelled();
    space.unmap(at(1), at(2));
    assert.throws(() => pages(0, 4), { code: 'ERR_NOT_MAPPED' });
    assertNothingLeft();
  });

  describe('faulting in', () => {
    function watched(): ReturnType<typeof modelled> & { faultedIn: number[] } {
      const world = modelled();
      const faultedIn: number[] = [];
      const { registrar } = world;
      const prefault = registrar.prefault.bind(registrar);
      registrar.prefault = (start, length, write) => {
        faultedIn.push(start);
        prefault(start, length, write);
      };
      return { ...world, faultedIn };
    }

    it('is not done for memory that is there, which takes longer than to pin it', () => {
      const { pages, faultedIn, assertFresh } = watched();
      assertFresh(pages(0, 4), 0, 4);
      assert.deepEqual(faultedIn, []);
    });

    it('is done before another attempt when pinning changed the mapping', () => {
      const { space, registrar, pages, faultedIn, assertFresh } = watched();
      registrar.beforeRegister = () => {
        if (faultedIn.length === 0) space.map(at(0), at(1));
      };
      assertFresh(pages(0, 4), 0, 4);
      assert.deepEqual(faultedIn, [at(0)]);
      assert.equal(registrar.history.length, 2);
    });

    it('is done first where a device might take what may not be touched: without write access', () => {
      const { registrar, pages, faultedIn } = watched();
      registrar.beforeRegister = () => {
        assert.deepEqual(faultedIn, [at(0)]);
      };
      pages(0, 4, Access.NONE);
      assert.equal(registrar.history.length, 1);
    });

    it('is done first where an idle registration would be given up in vain', () => {
      const { space, registrar, pages, faultedIn } = watched();
      pages(1, 2).release();
      space.unmap(at(3), at(4));
      assert.throws(() => pages(0, 4), { code: 'ERR_NOT_MAPPED' });
      assert.deepEqual(faultedIn, [at(0)]);
      assert.equal(registrar.pinned.size, 1);
    });

    it('tells why, when the device only says that it cannot', () => {
      const { space, registrar, pages, faultedIn, assertNothingLeft } = watched();
      space.protect(at(1), at(2));
      assert.throws(() => pages(0, 4), { code: 'ERR_READ_ONLY_MEMORY' });
      assert.deepEqual(faultedIn, [at(0)]);
      assert.equal(registrar.history.length, 0);
      assertNothingLeft();
    });

    it('is followed by another attempt when the device refused pages that can be had', () => {
      const { registrar, pages, faultedIn, assertFresh } = watched();
      registrar.beforeRegister = () => {
        if (faultedIn.length === 0) throw noPages();
      };
      assertFresh(pages(0, 4), 0, 4);
      assert.deepEqual(faultedIn, [at(0)]);
    });

    it('is followed by none when the device refuses for another reason, or does so again', () => {
      for (const [error, times] of [
        [systemError(constants.errno.EINVAL, 'ibv_reg_mr'), 1],
        [noPages(), 2],
      ] as const) {
        const { registrar, pages, faultedIn, assertNothingLeft } = watched();
        let refusals = 0;
        registrar.beforeRegister = () => {
          refusals++;
          throw error;
        };
        assert.throws(() => pages(0, 4), error);
        assert.deepEqual(faultedIn, [at(0)]);
        assert.equal(refusals, times);
        assertNothingLeft();
      }
    });
  });

  it('does not serve unmapped memory from a registration of the past', () => {
    const { space, pages } = modelled();
    pages(0, 4).release();
    space.unmap(at(1), at(2));
    assert.throws(() => pages(0, 4), { code: 'ERR_NOT_MAPPED' });
  });
});

describe('cache: limits', () => {
  it('by_count: evicts the oldest', () => {
    const { cache, registrar, pages } = modelled({ maxRegistrations: 2 });
    for (const page of [0, 2, 4]) pages(page, page + 1).release();
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.start),
      [at(2), at(4)],
    );
    assert.equal(cache.statistics().evictions, 1);
  });

  it('by_size: evicts until the new one fits', () => {
    const { registrar, pages } = modelled({ maxPinnedBytes: 4 * PAGE_SIZE });
    pages(0, 2).release();
    pages(4, 6).release();
    pages(8, 11).release();
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.start),
      [at(8)],
    );
  });

  it('gives one used lately a second chance', () => {
    const { registrar, pages } = modelled({ maxRegistrations: 2 });
    pages(0, 1).release();
    pages(2, 3).release();
    pages(0, 1).release();
    pages(4, 5).release();
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.start),
      [at(0), at(4)],
    );
  });

  it('are exceeded only by registrations in use, and only as long', () => {
    const { cache, registrar, pages } = modelled({ maxRegistrations: 2 });
    const held = [0, 2, 4, 6].map((page) => pages(page, page + 1));
    assert.equal(registrar.pinned.size, 4);
    for (const registration of held) registration.release();
    assert.equal(registrar.pinned.size, 2);
    assert.equal(cache.statistics().registered, 2);
    pages(8, 9).release();
    assert.equal(registrar.pinned.size, 2);
  });

  it('by_size: makes room before it registers', () => {
    const { registrar, pages } = modelled({ maxPinnedBytes: 4 * PAGE_SIZE });
    registrar.afterRegister = () => {
      assert.ok([...registrar.pinned].reduce((sum, { start, end }) => sum + end - start, 0) <= 4 * PAGE_SIZE);
    };
    for (const page of [0, 3, 6, 9, 12]) pages(page, page + 3).release();
    assert.equal(registrar.history.length, 5);
  });

  it('counts an invalidated registration out of the order: it is not evicted as well', () => {
    const { cache, space, pages } = modelled({ maxRegistrations: 2 });
    pages(0, 1).release();
    pages(2, 3).release();
    space.map(at(0), at(1));
    pages(4, 5).release();
    pages(6, 7).release();
    assert.equal(cache.statistics().evictions, 1);
  });

  it('does not empty the cache for one that fits in no case', () => {
    const { registrar, pages } = modelled({ maxPinnedBytes: 4 * PAGE_SIZE });
    for (const page of [0, 2, 4]) pages(page, page + 1).release();
    pages(10, 20).release();
    assert.deepEqual(
      [...registrar.pinned].map((region) => region.start),
      [at(0), at(2), at(4)],
    );
  });

  it('counts whole pages as pinned, also for a few bytes', () => {
    const { cache } = modelled();
    cache.acquireRange(at(0) + 10, 100, REMOTE);
    assert.equal(cache.statistics().pinnedBytes, PAGE_SIZE);
  });

  it('does not keep a registration larger than the limit', () => {
    const { registrar, pages, assertFresh } = modelled({ maxPinnedBytes: PAGE_SIZE });
    const large = pages(0, 8);
    assertFresh(large, 0, 8);
    large.release();
    assert.equal(registrar.pinned.size, 0);
  });
});

describe('cache: releasing and closing', () => {
  it('refuses more releases than acquires', () => {
    const { pages } = modelled();
    const registration = pages(0, 1);
    registration.release();
    assert.throws(
      () => {
        registration.release();
      },
      { code: 'ERR_DOUBLE_RELEASE', address: at(0) },
    );
  });

  it('releases at the end of a using block', () => {
    const { cache, pages } = modelled();
    {
      using registration = pages(0, 1);
      assert.ok(registration.lkey);
      assert.throws(
        () => {
          cache.close();
        },
        { code: 'ERR_BUSY' },
      );
    }
    cache.close();
  });

  it('keeps what the device will not deregister, and tries again', () => {
    const { cache, registrar, pages, space, assertNothingLeft } = modelled();
    pages(0, 1).release();
    registrar.beforeDeregister = () => {
      throw systemError(constants.errno.EBUSY, 'ibv_dereg_mr');
    };
    space.map(at(0), at(1));
    pages(0, 1).release();
    assert.equal(registrar.pinned.size, 2);
    assert.equal(
      cache.statistics().deregistrationFailures,
      2,
      'once in the drain, once in the miss that followed',
    );
    assert.throws(
      () => {
        cache.close();
      },
      { code: 'ERR_BUSY' },
    );
    registrar.beforeDeregister = undefined;
    cache.close();
    assertNothingLeft();
  });

  it('ends a lookup before it deregisters', () => {
    const { registrar, pages, space, cache } = modelled();
    pages(0, 1).release();
    space.map(at(0), at(1));
    let found: Registration | undefined;
    registrar.beforeDeregister = (region) => {
      registrar.beforeDeregister = undefined;
      found = pages(0, 1);
      assert.notEqual(found.lkey, region.key);
    };
    cache.drain();
    assert.ok(found);
  });

  it('closes once, closes the monitor last, and refuses everything afterwards', () => {
    const { cache, monitor, registrar, pages, assertNothingLeft } = modelled();
    pages(0, 1).release();
    registrar.beforeDeregister = () => {
      assert.equal(monitor.closed, false);
    };
    cache.close();
    cache.close();
    assert.equal(monitor.closed, true);
    assertNothingLeft();
    for (const use of [
      () => pages(0, 1),
      () => {
        cache.drain();
      },
      () => {
        cache.flush();
      },
    ]) {
      assert.throws(use, { code: 'ERR_CLOSED' });
    }
  });

  it('flushes what is idle and lets go of the rest at its release', () => {
    const { cache, registrar, pages } = modelled();
    const held = pages(0, 1);
    pages(2, 3).release();
    cache.flush();
    assert.equal(registrar.pinned.size, 1);
    assert.equal(held.stale, false);
    assert.notEqual(pages(0, 1), held);
    held.release();
    assert.equal(registrar.pinned.size, 1);
  });
});

describe('cache: bad input', () => {
  const { cache, assertNothingLeft } = modelled();

  const ranges: [string, number, number, string][] = [
    ['length 0', at(0), 0, 'ERR_INVALID_LENGTH'],
    ['a negative length', at(0), -1, 'ERR_INVALID_LENGTH'],
    ['a broken length', at(0), 1.5, 'ERR_INVALID_LENGTH'],
    ['no length', at(0), NaN, 'ERR_INVALID_LENGTH'],
    ['a length past the address space', at(0), 2 ** 52, 'ERR_INVALID_LENGTH'],
    ['address 0', 0, 1, 'ERR_INVALID_ADDRESS'],
    ['a negative address', -4096, 1, 'ERR_INVALID_ADDRESS'],
    ['a broken address', 0.5, 1, 'ERR_INVALID_ADDRESS'],
    ['an address past the address space', 2 ** 53, 1, 'ERR_INVALID_ADDRESS'],
  ];
  for (const [what, address, length, code] of ranges) {
    it(`refuses ${what}`, () => {
      assert.throws(() => cache.acquireRange(address, length), { code });
    });
  }

  const detached = new ArrayBuffer(64);
  const viewOfDetached = new Uint8Array(detached);
  const dataViewOfDetached = new DataView(detached);
  structuredClone(detached, { transfer: [detached] });
  const values: [string, unknown, string][] = [
    ['null', null, 'ERR_NOT_MEMORY'],
    ['undefined', undefined, 'ERR_NOT_MEMORY'],
    ['a string', 'text', 'ERR_NOT_MEMORY'],
    ['a number', 4096, 'ERR_NOT_MEMORY'],
    ['an array', [1, 2], 'ERR_NOT_MEMORY'],
    ['an object with an address', { address: 4096, length: 1 }, 'ERR_NOT_MEMORY'],
    ['a function', () => 0, 'ERR_NOT_MEMORY'],
    [
      'what only says it is an ArrayBuffer',
      { [Symbol.toStringTag]: 'ArrayBuffer', length: 8 },
      'ERR_NOT_MEMORY',
    ],
    ['a DataView of a detached ArrayBuffer', dataViewOfDetached, 'ERR_DETACHED_BUFFER'],
    ['an empty buffer', Buffer.alloc(0), 'ERR_INVALID_LENGTH'],
    ['an empty ArrayBuffer', new ArrayBuffer(0), 'ERR_INVALID_LENGTH'],
    ['a detached ArrayBuffer', detached, 'ERR_DETACHED_BUFFER'],
    ['a view of a detached ArrayBuffer', viewOfDetached, 'ERR_DETACHED_BUFFER'],
  ];
  for (const [what, value, code] of values) {
    it(`refuses ${what}`, () => {
      assert.throws(() => cache.acquire(value as Buffer), { code });
    });
  }

  const accesses: [string, unknown][] = [
    ['remote write without local write', Access.REMOTE_WRITE],
    ['bits nobody knows', 1 << 19],
    ['a negative number', -1],
    ['a string', 'write'],
    ['on-demand paging', Access.ON_DEMAND],
    ['offsets instead of addresses', Access.ZERO_BASED],
    ['huge pages', Access.HUGETLB],
  ];
  for (const [what, access] of accesses) {
    it(`refuses ${what} as access`, () => {
      assert.throws(() => cache.acquireRange(at(0), 1, access as number), { code: 'ERR_INVALID_ACCESS' });
    });
  }

  it('refuses options that are unknown or out of range', () => {
    const { monitor, registrar } = new AddressSpace();
    const refused: object[] = [
      { maxRegistrations: 0 },
      { maxRegistrations: -1 },
      { maxRegistrations: 1.5 },
      { maxPinnedBytes: '1G' },
      { keepRemote: 1 },
      { maxRegistration: 10 },
      { monitor: null },
      { registrar: 'rxe0' },
    ];
    for (const options of refused) {
      assert.throws(() => new RegistrationCache({ monitor, registrar, ...options }), {
        code: 'ERR_INVALID_OPTION',
      });
    }
  });

  it('hands out copies of its statistics', () => {
    cache.statistics().hits = 1000;
    assert.equal(cache.statistics().hits, 0);
  });

  it('has leaked nothing', () => {
    assertNothingLeft();
  });
});
