import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BitSet } from '../../src/cache/bit-set.js';

const LIMIT = 128;

describe('a set of bits', () => {
  it('does what a set of numbers does', () => {
    const edge = fc.oneof(fc.constantFrom(0, 31, 32, 33, 64, 127, LIMIT), fc.nat(LIMIT));
    const change = fc
      .tuple(fc.constantFrom('add', 'addAll', 'deleteAll', 'again'), edge, edge)
      .map(([what, a, b]) => ({ what, from: Math.min(a, b), to: Math.max(a, b) }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), edge, edge, (changes, a, b) => {
        let bits = new BitSet(LIMIT);
        const set = new Set<number>();
        for (const { what, from, to } of changes) {
          if (what === 'again') bits = new BitSet(LIMIT, bits);
          else if (what === 'add' && from < LIMIT) {
            bits.add(from);
            set.add(from);
          } else if (what === 'addAll') {
            bits.addAll(from, to);
            for (let n = from; n < to; n++) set.add(n);
          } else if (what === 'deleteAll') {
            bits.deleteAll(from, to);
            for (let n = from; n < to; n++) set.delete(n);
          }
        }
        const all = [...set].sort((one, other) => one - other);
        for (let n = 0; n < LIMIT; n++) assert.equal(bits.has(n), set.has(n), `has ${n}`);
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const within = all.filter((n) => n >= from && n < to);
        assert.equal(bits.first(from, to), within[0] ?? to);
        assert.equal(bits.hasAll(from, to), within.length === to - from);
        if (all.length > 0 && all[0] < to) {
          assert.equal(
            bits.lastBefore(to),
            all.findLast((n) => n < to),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it('can be had smaller, or larger, with the same in it', () => {
    const bits = new BitSet(64);
    bits.addAll(30, 40);
    const larger = new BitSet(LIMIT, bits);
    assert.deepEqual([larger.first(0, LIMIT), larger.lastBefore(LIMIT)], [30, 39]);
    const smaller = new BitSet(32, larger);
    assert.deepEqual([smaller.first(0, 32), smaller.lastBefore(32)], [30, 31]);
  });
});
