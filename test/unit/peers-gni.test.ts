// The cases of the tests of the registration cache of libfabric's GNI provider, by their names; invalid arguments are in
// cache.test.ts, limits that change in cache-features.test.ts.
import assert from 'node:assert/strict';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { at, modelled } from './cache-fixture.js';

const starts = (regions: Iterable<{ start: number }>): number[] => [...regions].map(({ start }) => start);

/** A cache on more pages than most tests need. */
function large(pages: number, maxRegistrations = 65_536) {
  const world = modelled({ maxRegistrations });
  world.space.map(at(0), at(pages));
  return world;
}

describe('as GNI tests its cache', () => {
  it('duplicate_registration: the second one is the first', () => {
    const { cache, registrar, pages, assertNothingLeft } = modelled();
    const [first, second] = [pages(0, 1), pages(0, 1)];
    assert.equal(first, second);
    assert.equal(registrar.history.length, 1);
    first.release();
    second.release();
    cache.close();
    assertNothingLeft();
  });

  it('distinct_1024: all in use at a time, and all kept', () => {
    const { cache, registrar, pages, assertNothingLeft } = large(2048);
    const held = Array.from({ length: 1024 }, (_, n) => pages(2 * n, 2 * n + 1));
    assert.equal(new Set(held.map(({ lkey }) => lkey)).size, 1024);
    assert.equal(registrar.pinned.size, 1024);
    for (const registration of held) registration.release();
    for (let n = 0; n < 1024; n++) pages(2 * n, 2 * n + 1).release();
    assert.equal(cache.statistics().hits, 1024);
    cache.close();
    assertNothingLeft();
  });

  it('cyclic_128: more than there is room for, one after the other, misses always and never goes over', () => {
    const { cache, registrar, pages } = large(256, 64);
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 128; n++) {
        pages(2 * n, 2 * n + 1).release();
        assert.ok(registrar.pinned.size <= 64);
      }
    }
    const { misses, hits, evictions } = cache.statistics();
    assert.deepEqual({ misses, hits, evictions }, { misses: 512, hits: 0, evictions: 512 - 64 });
  });

  it('cyclic_128: with room for all, misses once each', () => {
    const { cache, pages } = large(256, 128);
    for (let round = 0; round < 4; round++) for (let n = 0; n < 128; n++) pages(2 * n, 2 * n + 1).release();
    const { misses, hits, evictions } = cache.statistics();
    assert.deepEqual({ misses, hits, evictions }, { misses: 128, hits: 384, evictions: 0 });
  });

  it('same_address_increasing: each larger one replaces the one before', () => {
    const { cache, registrar, pages } = modelled();
    for (let size = 1; size <= 32; size++) {
      const registration = pages(0, size);
      assert.equal(registration.length, size * PAGE_SIZE);
      registration.release();
      assert.equal(registrar.pinned.size, 1);
    }
    assert.equal(cache.statistics().replacements, 31);
  });

  it('same_address_increasing: in use, all stay until their release, and the largest serves', () => {
    const { registrar, pages } = modelled();
    const held = Array.from({ length: 32 }, (_, n) => pages(0, n + 1));
    assert.equal(registrar.pinned.size, 32);
    assert.equal(pages(0, 1), held[31]);
    for (const registration of held) registration.release();
    assert.equal(registrar.pinned.size, 1);
  });

  it('same_address_decreasing: the first one serves all', () => {
    const { registrar, pages } = modelled();
    const first = pages(0, 32);
    for (let size = 31; size >= 1; size--) assert.equal(pages(0, size), first);
    assert.equal(registrar.history.length, 1);
  });

  it('lru_evict_first: the oldest goes', () => {
    const { registrar, pages } = modelled({ maxRegistrations: 3 });
    for (const page of [0, 2, 4, 6]) pages(page, page + 1).release();
    assert.deepEqual(starts(registrar.pinned), [at(2), at(4), at(6)]);
  });

  it('lru_evict_middle: one in the middle goes when those before it are in use or were used again', () => {
    const { registrar, pages } = modelled({ maxRegistrations: 4 });
    const held = pages(0, 1);
    for (const page of [2, 4, 6]) pages(page, page + 1).release();
    pages(2, 3).release();
    pages(8, 9).release();
    assert.deepEqual(starts(registrar.pinned), [at(0), at(2), at(6), at(8)]);
    held.release();
    pages(10, 11).release();
    assert.deepEqual(starts(registrar.pinned), [at(0), at(2), at(8), at(10)]);
  });

  it('change_limits: to fewer while all are in use, and back', () => {
    const { cache, registrar, pages } = modelled({ maxRegistrations: 8 });
    const held = Array.from({ length: 8 }, (_, n) => pages(2 * n, 2 * n + 1));
    cache.setLimits({ maxRegistrations: 2 });
    assert.equal(registrar.pinned.size, 8);
    for (const [n, registration] of held.entries()) {
      registration.release();
      assert.equal(registrar.pinned.size, Math.max(2, 7 - n), 'each goes at its release');
    }
    cache.setLimits({ maxRegistrations: 8 });
    for (let n = 0; n < 8; n++) pages(2 * n, 2 * n + 1).release();
    assert.equal(registrar.pinned.size, 8);
    assert.equal(cache.statistics().evictions, 6);
  });
});
