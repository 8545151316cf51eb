import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import { Lookup } from '../../src/cache/lookup.js';
import { Entry, type Keeper, PENDING } from '../../src/cache/registration.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { at } from './cache-fixture.js';

describe('look-up', () => {
  it('finds any number of registrations that share a byte with a range', () => {
    const keeper: Keeper = {
      lastRelease: () => undefined,
      invalidated: () => undefined,
      gone: () => undefined,
    };
    const lookup = new Lookup();
    const count = 150_000;
    for (let n = 0; n < count; n++) {
      const entry = new Entry(keeper, at(n), at(n + 1), Access.LOCAL_WRITE, n);
      entry.flags &= ~PENDING;
      lookup.insert(entry);
    }
    assert.equal(lookup.overlapping(at(0), at(count)).length, count);
    assert.equal(lookup.overlapping(at(1) - 1, at(1) + 1).length, 2);
    assert.equal(lookup.overlapping(at(count), at(count) + PAGE_SIZE).length, 0);
  });
});
