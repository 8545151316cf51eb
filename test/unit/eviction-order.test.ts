import assert from 'node:assert/strict';
import { EvictionOrder } from '../../src/cache/eviction-order.js';
import { Entry, type Keeper, RETIRED } from '../../src/cache/registration.js';
import { isCollected } from '../garbage.js';

describe('eviction order', () => {
  const keeper: Keeper = {
    lastRelease: () => undefined,
    invalidated: () => undefined,
    gone: () => undefined,
  };

  /** Idle entries, in an order of eviction. */
  function ordered(count: number) {
    const order = new EvictionOrder();
    const entries = Array.from({ length: count }, (_, slot) => new Entry(keeper, slot, slot + 1, 0, slot));
    for (const entry of entries) order.add(entry);
    const retire = (retired: Entry[]): void => {
      for (const entry of retired) {
        entry.flags |= RETIRED;
        order.remove(entry);
      }
    };
    const takeAll = (): Entry[] => {
      const taken: Entry[] = [];
      for (let entry = order.takeOldest(); entry !== undefined; entry = order.takeOldest()) taken.push(entry);
      return taken;
    };
    return { order, entries, retire, takeAll };
  }

  // The retired ones are left out when there are more than 64, and so many that it pays.
  for (const kept of [0, 10, 63, 64, 65, 130, 200]) {
    for (const taken of [0, 1, 100]) {
      it(`has each entry once, oldest first, when retired ones are left out: ${kept} kept, ${taken} taken`, () => {
        const { order, entries, retire, takeAll } = ordered(taken + 300 + kept);
        for (let n = 0; n < taken; n++) assert.equal(order.takeOldest(), entries[n]);
        retire(entries.slice(taken, taken + 300));
        assert.deepEqual(
          takeAll().map(({ slot }) => slot),
          entries.slice(taken + 300).map(({ slot }) => slot),
        );
      });
    }
  }

  it('has each entry once however often others are retired', () => {
    const { order, entries, retire, takeAll } = ordered(10);
    for (let round = 0; round < 20; round++) {
      const others = Array.from({ length: 100 }, (_, n) => new Entry(keeper, n, n + 1, 0, 100 + n));
      for (const other of others) order.add(other);
      retire(others);
    }
    assert.deepEqual(
      takeAll().map(({ slot }) => slot),
      entries.map(({ slot }) => slot),
    );
  });

  it('does not keep what is retired, but for a few', async () => {
    const order = new EvictionOrder();
    // In a function of its own, so that no stack slot holds one.
    const retireSome = () =>
      Array.from({ length: 1000 }, (_, slot) => {
        const entry = new Entry(keeper, slot, slot + 1, 0, slot);
        order.add(entry);
        entry.flags |= RETIRED;
        order.remove(entry);
        return new WeakRef(entry);
      });
    const [oldest] = retireSome();
    assert.equal(await isCollected(oldest), true);
    assert.equal(order.takeOldest(), undefined);
  });
});
