import assert from 'node:assert/strict';
import { RegistrationCache } from '../../src/cache/cache.js';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { addressOf } from '../../src/memory/locate.js';
import { NoMonitor } from '../../src/monitor/none.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { AddressSpace, ModelRegistrar } from '../model/address-space.js';
import { at, PAGES } from './cache-fixture.js';

function unwatched() {
  const space = new AddressSpace();
  space.map(at(0), at(PAGES));
  const registrar = new ModelRegistrar(space);
  const cache = new RegistrationCache({ monitor: new NoMonitor(), registrar });
  return { space, registrar, cache };
}

describe('a cache on no monitor', () => {
  it('pins what is mapped now at every acquire, whatever nobody reported', () => {
    const { space, registrar, cache } = unwatched();
    for (let round = 0; round < 3; round++) {
      const registration = cache.acquireRange(at(1), PAGE_SIZE);
      const { frames } = registrar.byKey(registration.lkey);
      assert.deepEqual(frames, space.frames(at(1), at(2)));
      registration.release();
      space.remapSilently(at(0), at(PAGES));
    }
    assert.equal(registrar.history.length, 3);
  });

  it('keeps nothing after the last release', () => {
    const { registrar, cache } = unwatched();
    const memory = cache.acquireRange(at(0), PAGE_SIZE);
    const again = cache.acquireRange(at(0), PAGE_SIZE);
    assert.notEqual(again, memory, 'the memory may have changed since');
    assert.equal(registrar.pinned.size, 2);
    memory.release();
    again.release();
    assert.equal(registrar.pinned.size, 0);
    const { hits, uncached, registered } = cache.statistics();
    assert.deepEqual({ hits, uncached, registered }, { hits: 0, uncached: 2, registered: 0 });
  });

  it('registers the same Buffer anew each time', () => {
    const { space, cache, registrar } = unwatched();
    const buffer = allocatePageAligned(PAGE_SIZE);
    const address = addressOf(buffer);
    space.map(address, address + PAGE_SIZE);
    for (let round = 0; round < 3; round++) cache.acquire(buffer).release();
    assert.equal(registrar.history.length, 3);
  });

  it('drains and closes', () => {
    const { cache } = unwatched();
    cache.drain();
    cache.close();
    assert.throws(
      () => {
        cache.drain();
      },
      { code: 'ERR_CLOSED' },
    );
  });
});
