import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Entry } from '../../src/cache/registration.js';

const keeper = { lastRelease() {}, invalidated() {}, gone() {} };

describe('a registration', () => {
  it('knows where it starts and ends, wherever that is', () => {
    const address = fc.oneof(
      fc.integer({ min: 1, max: 2 ** 52 - 2 }),
      // Around the places where the number of a page gets another digit.
      fc
        .tuple(
          fc.constantFrom(2 ** 12, 2 ** 31, 2 ** 43, 2 ** 44, 2 ** 45),
          fc.integer({ min: -9000, max: 9000 }),
        )
        .map(([base, offset]) => Math.max(1, base + offset)),
    );
    fc.assert(
      fc.property(address, address, (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other) + 1];
        const entry = new Entry(keeper, start, end, 0, 0);
        assert.deepEqual([entry.start, entry.end, entry.length], [start, end, end - start]);
      }),
      { numRuns: 2000 },
    );
  });
});
