import assert from 'node:assert/strict';
import { type Cost, costOf } from '../../bench/hit/proof.js';
import { HITS, ONCE_IN } from '../../bench/hit/proof-loop.js';

/** `npm run bench -- hit-proof` makes 10^8, and watches for system calls as well. */
const COUNT = 5_000_000;

describe('a hit', () => {
  let empty: Cost;

  before(() => {
    empty = costOf('empty', COUNT);
  });

  for (const subject of HITS) {
    it(`allocates nothing and calls no C: by ${subject}`, () => {
      assert.deepEqual(costOf(subject, COUNT), empty);
    });
  }

  it('would be found out if it allocated', () => {
    const { grown, collections } = costOf('and an object', COUNT);
    assert.ok(collections > 0 || grown - empty.grown > COUNT / ONCE_IN);
  });

  it('would be found out if it called C', () => {
    assert.equal(costOf('and a call', COUNT).calls, COUNT / ONCE_IN);
  });
});
