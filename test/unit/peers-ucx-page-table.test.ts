// The cases of the tests of UCX's page table (test_pgtable.cc), by their names.
import assert from 'node:assert/strict';
import { Coverage } from '../../src/cache/coverage.js';
import type { Entry } from '../../src/cache/registration.js';
import { Slots } from '../../src/cache/slots.js';
import { at, modelled } from './cache-fixture.js';

const GIB_IN_PAGES = 2 ** 18;
const keeper = { lastRelease() {}, invalidated() {}, gone() {} };

/** The table that the cache looks pages up in, and a way to make what it holds. */
function table() {
  const slots = new Slots();
  const coverage = new Coverage();
  const entry = (first: number, end: number): Entry => slots.create(keeper, at(first), at(end), 1);
  const insert = (first: number, end: number): Entry => {
    const made = entry(first, end);
    coverage.insert(made);
    return made;
  };
  return {
    coverage,
    entry,
    insert,
    find: (first: number, end = first + 1) => coverage.find(at(first), at(end)),
  };
}

describe('as UCX tests its page table', () => {
  it('lookup_adjacent: one that ends where the other begins', () => {
    const { insert, find } = table();
    const [left, right] = [insert(0, 2), insert(2, 4)];
    assert.deepEqual([find(0), find(1), find(2), find(3)], [left, left, right, right]);
    assert.equal(find(4), undefined);
    assert.equal(find(1, 3), undefined, 'together they cover it, but neither does alone');
  });

  it('multi_search: all in a range, once each and by rising start, wherever they begin', () => {
    const { coverage, insert } = table();
    const all = [insert(0, 3), insert(1, 4), insert(6, 7), insert(7, 600), insert(1000, 1000 + GIB_IN_PAGES)];
    const sorted = (found: Entry[]): Entry[] => found.sort((a, b) => a.start - b.start);
    assert.deepEqual(sorted(coverage.overlapping(at(0), at(2000))), all);
    assert.deepEqual(sorted(coverage.overlapping(at(3), at(7))), all.slice(1, 3));
    assert.deepEqual(coverage.overlapping(at(4), at(6)), []);
    assert.deepEqual(coverage.within(at(1), at(601)), all.slice(1, 4));
    assert.deepEqual(coverage.overlapping(at(2000), at(2001)), all.slice(4));
  });

  it('invalid_param: no range that begins or ends within a page is in the table of pages', () => {
    const { cache, registrar } = modelled();
    cache.acquireRange(at(1) + 1, 1);
    cache.acquireRange(at(3) - 1, 2);
    assert.deepEqual(
      [...registrar.pinned].map(({ start, end }) => [start, end]),
      [
        [at(1), at(2)],
        [at(2), at(4)],
      ],
    );
    for (const [address, length] of [
      [0, 1],
      [-1, 1],
      [at(0), 0],
      [at(0), -1],
      [at(0) + 0.5, 1],
      [2 ** 52, 1],
      [at(0), Infinity],
    ])
      assert.throws(() => cache.acquireRange(address, length), { code: /^ERR_INVALID_(ADDRESS|LENGTH)$/ });
  });

  it('overlap_insert: the one that begins later has the shared pages, and gives them back', () => {
    const { coverage, insert, find } = table();
    const [left, right] = [insert(0, 4), insert(2, 6)];
    assert.equal(find(0, 4), left);
    assert.equal(find(2, 4), right);
    assert.equal(find(2, 6), right);
    assert.equal(find(1, 5), undefined);
    coverage.remove(right);
    assert.equal(find(2, 4), left);
    assert.equal(find(4), undefined);
    coverage.remove(left);
    assert.equal(coverage.nodes, 0);
  });

  it('nonexist_remove: what is gone is not found, and taking it out again is never asked for', () => {
    const { coverage, insert, find } = table();
    const [gone, stays] = [insert(0, 2), insert(2, 4)];
    coverage.remove(gone);
    assert.equal(find(0), undefined);
    assert.equal(find(2, 4), stays);
    // Of the cache itself: retired twice, by a change and by a flush, it leaves the table once.
    const { cache, space, pages, assertNothingLeft } = modelled();
    const held = pages(0, 2);
    pages(2, 4).release();
    space.map(at(0), at(1));
    cache.drain();
    cache.flush();
    pages(0, 4).release();
    cache.flush();
    held.release();
    assertNothingLeft();
  });

  it('large_region: terabytes are found at their edges and cost a few nodes', () => {
    const { coverage, insert, find } = table();
    const pages = 3 * 1024 * GIB_IN_PAGES;
    const large = insert(5, pages);
    for (const page of [5, 511, 512, 2 ** 18, 2 ** 27 + 1, pages - 1]) assert.equal(find(page), large);
    assert.equal(find(5, pages), large);
    assert.equal(find(4), undefined);
    assert.equal(find(pages), undefined);
    assert.ok(coverage.nodes <= 8, `${coverage.nodes} nodes`);
    coverage.remove(large);
    assert.equal(coverage.nodes, 0);
  });

  it('non_contiguous_regions: holes belong to nobody', () => {
    const { insert, find } = table();
    const entries = Array.from({ length: 1000 }, (_, n) => insert(3 * n, 3 * n + 2));
    for (const [n, entry] of entries.entries()) {
      assert.equal(find(3 * n, 3 * n + 2), entry);
      assert.equal(find(3 * n + 2), undefined);
    }
  });

  it('adjacent_regions: taken out every other one, the rest stays', () => {
    const { coverage, insert, find } = table();
    const entries = Array.from({ length: 2000 }, (_, n) => insert(n, n + 1));
    for (let n = 0; n < entries.length; n += 2) coverage.remove(entries[n]);
    for (const [n, entry] of entries.entries()) assert.equal(find(n), n % 2 === 0 ? undefined : entry);
  });
});
