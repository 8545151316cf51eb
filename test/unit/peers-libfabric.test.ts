// The cases of the tests of libfabric's and EFA's registration caches. Bytes that are verified over a device, with the
// buffer remapped before each, are in test/system/cache-features.test.ts.
import assert from 'node:assert/strict';
import { at, modelled } from './cache-fixture.js';

const starts = (regions: Iterable<{ start: number }>): number[] => [...regions].map(({ start }) => start);

describe('as libfabric and EFA test their caches', () => {
  for (const enabled of [true, false]) {
    it(`cache_${enabled ? 'enabled' : 'disabled'}: ${enabled ? 'one registration' : 'one each time'}`, () => {
      const { cache, registrar, pages, assertFresh } = modelled();
      cache.bypass = !enabled;
      for (let n = 0; n < 10; n++) {
        const registration = pages(0, 4);
        assertFresh(registration, 0, 4);
        registration.release();
      }
      assert.equal(registrar.history.length, enabled ? 1 : 10);
      assert.equal(registrar.pinned.size, enabled ? 1 : 0);
    });
  }

  it('hit: the same range gives the same registration, in use or idle', () => {
    const { cache, pages } = modelled();
    const first = pages(0, 4);
    assert.equal(pages(0, 4), first);
    first.release();
    first.release();
    assert.equal(pages(0, 4), first);
    assert.equal(cache.statistics().hits, 2);
  });

  it('encapsulated: a smaller range within is a hit, a larger one around is not', () => {
    const { registrar, pages } = modelled();
    const first = pages(2, 6);
    for (const [from, to] of [
      [2, 3],
      [3, 5],
      [5, 6],
    ])
      assert.equal(pages(from, to), first);
    for (const [from, to] of [
      [1, 3],
      [5, 7],
      [1, 7],
    ])
      assert.notEqual(pages(from, to), first);
    assert.equal(registrar.history.length, 4);
  });

  it('non_overlapping: each has a registration of its own', () => {
    const { registrar, pages } = modelled();
    const keys = new Set([0, 4, 8, 12].map((page) => pages(page, page + 4).lkey));
    assert.equal(keys.size, 4);
    assert.deepEqual(starts(registrar.pinned), [at(0), at(4), at(8), at(12)]);
  });

  it('overlapping_buffers: both stay, and each request finds one that covers it', () => {
    const { registrar, pages } = modelled();
    const [left, right] = [pages(0, 4), pages(2, 6)];
    assert.equal(registrar.pinned.size, 2);
    assert.equal(pages(0, 2), left);
    assert.equal(pages(4, 6), right);
    assert.ok([left, right].includes(pages(2, 4)));
    assert.equal(registrar.history.length, 2);
  });

  it('lru: the one not used for longest goes first', () => {
    const { registrar, pages } = modelled({ maxRegistrations: 3 });
    for (const page of [0, 2, 4]) pages(page, page + 1).release();
    pages(0, 1).release();
    pages(6, 7).release();
    pages(8, 9).release();
    assert.deepEqual(starts(registrar.pinned), [at(0), at(6), at(8)]);
  });

  it('flush: all that is idle goes, and is made again when it is asked for', () => {
    const { cache, registrar, pages, assertFresh } = modelled();
    for (const page of [0, 2, 4]) pages(page, page + 1).release();
    cache.flush();
    assert.equal(registrar.pinned.size, 0);
    assertFresh(pages(2, 3), 2, 3);
    assert.equal(registrar.history.length, 4);
  });

  it('reference_counting: as many releases as acquires, and one more is refused', () => {
    const { cache, registrar, pages } = modelled();
    const uses = 1000;
    const registration = pages(0, 1);
    for (let n = 1; n < uses; n++) assert.equal(pages(0, 1), registration);
    assert.equal(cache.registrations()[0].uses, uses);
    for (let n = 0; n < uses; n++) {
      cache.flush();
      assert.equal(registrar.pinned.size, 1);
      registration.release();
    }
    assert.equal(registrar.pinned.size, 0);
    assert.throws(
      () => {
        registration.release();
      },
      { code: 'ERR_DOUBLE_RELEASE' },
    );
  });

  it('register_free_allocate: memory that comes and goes at one address is always the present one', () => {
    const { space, registrar, pages, assertFresh } = modelled();
    for (let n = 0; n < 100; n++) {
      const registration = pages(0, 4);
      assertFresh(registration, 0, 4);
      registration.release();
      if (n % 2 === 0) space.unmap(at(0), at(4));
      space.map(at(0), at(4));
    }
    assert.equal(registrar.history.length, 100);
    assert.equal(registrar.pinned.size, 1);
  });
});
