import assert from 'node:assert/strict';
import { type Cost, costOf } from '../../bench/hit/proof.js';
import { HITS, ONCE_IN } from '../../bench/hit/proof-loop.js';

/** `npm run bench -- hit-proof` makes 10^8, and watches for system calls as well. */
const COUNT = 5_000_000;
/** What a number for one hit in 1000 would take at least. The compilers may need a little at any time. */
const LEAST = (12 * COUNT) / ONCE_IN;

/** Of three runs the one that took least: what a hit takes it takes every time, and the compilers only once. */
function leastCostOf(subject: (typeof HITS)[number]): Cost {
  const costs = Array.from({ length: 3 }, () => costOf(subject, COUNT));
  // A collection takes away what had grown.
  const order = (a: Cost, b: Cost): number => a.collections - b.collections || a.grown - b.grown;
  return costs.sort(order)[0];
}

describe('a hit', () => {
  let empty: Cost;

  before(() => {
    empty = costOf('empty', COUNT);
  });

  for (const subject of HITS) {
    it(`allocates nothing and calls no C: by ${subject}`, () => {
      const { collections, calls, grown } = leastCostOf(subject);
      assert.deepEqual({ collections, calls }, { collections: 0, calls: 0 });
      assert.ok(grown - empty.grown < LEAST, `${grown} bytes, ${empty.grown} of them without a hit`);
    });
  }

  it('would be found out if it allocated', () => {
    const { grown, collections } = costOf('and an object', COUNT);
    assert.ok(collections > 0 || grown - empty.grown >= LEAST, `${grown} bytes`);
  });

  it('would be found out if it called C', () => {
    assert.equal(costOf('and a call', COUNT).calls, COUNT / ONCE_IN);
  });
});
