import assert from 'node:assert/strict';
import { balanced, checkRound } from '../soak/checks.js';
import { type Held, MARGINS } from '../soak/held.js';
import type { Transferred } from '../soak/messages.js';

type Figure = keyof Held;

/** Any numbers, of which none is the margin of another. */
const HELD: Held = {
  'memory regions': 3,
  'queue pairs': 1,
  'completion queues': 1,
  'protection domains': 2,
  watches: 4,
  'driver files': 1,
  'pinned, KiB': 64,
  'locked, KiB': 8,
  'pinned pages': 16,
  'huge pages': 2,
  'System V segments': 1,
  descriptors: 20,
  threads: 11,
  children: 1,
  mappings: 300,
  'resident, KiB': 70_000,
  'kernel slabs, KiB': 20_000,
};
const FIGURES = Object.keys(HELD) as Figure[];
const EXACT = FIGURES.filter((name) => MARGINS[name] === undefined);

const failedOf = (after: Partial<Held>, before: Partial<Held> = {}): string[] =>
  balanced({ before: { ...HELD, ...before }, after: { ...HELD, ...after } })
    .filter(({ ok }) => !ok)
    .map(({ name }) => name.replace('back at the start: ', ''));

describe('what the soak finds', () => {
  it('is nothing where all is held that was held before', () => {
    assert.deepEqual(failedOf({}), []);
    assert.equal(balanced({ before: HELD, after: HELD }).length, FIGURES.length);
  });

  for (const name of EXACT) {
    it(`is one more, and one less, of: ${name}`, () => {
      for (const by of [1, -1]) assert.deepEqual(failedOf({ [name]: HELD[name]! + by }), [name]);
    });
  }

  it('is more than the margin of what need not come back exactly, which may shrink', () => {
    for (const [name, margin] of Object.entries(MARGINS) as [Figure, number][]) {
      assert.deepEqual(failedOf({ [name]: HELD[name]! + margin }), []);
      assert.deepEqual(failedOf({ [name]: HELD[name]! + margin + 1 }), [name]);
      assert.deepEqual(failedOf({ [name]: 0 }), []);
    }
  });

  it('is what is told at one time only, but not what is never told', () => {
    assert.deepEqual(failedOf({ watches: undefined }), ['watches']);
    assert.deepEqual(failedOf({}, { watches: undefined }), ['watches']);
    assert.deepEqual(failedOf({ watches: undefined }, { watches: undefined }), []);
    const checks = balanced({ before: { ...HELD, watches: undefined }, after: HELD });
    assert.deepEqual(
      checks.flatMap(({ needs }) => needs ?? []),
      ['watches, which this kernel does not tell'],
    );
  });

  it('is a stale byte of one thread, at the end where it was', () => {
    const fresh = { transfers: 5, statistics: [], stale: { sender: 0, receiver: 0 } };
    for (const end of ['sender', 'receiver'] as const) {
      const stale = { ...fresh, stale: { ...fresh.stale, [end]: 1 } };
      const transferred = [fresh, stale].map((one): Transferred => ({
        ...one,
        raced: 0,
        refused: {},
        failures: [],
        contradictions: [],
        checks: 1,
        watched: 0,
        registered: 0,
        pinnedBytes: 0,
      }));
      const failed = checkRound({ transferred, changed: {} }, 1).filter(({ ok }) => !ok);
      assert.deepEqual(
        failed.map(({ name, seen }) => [name, seen]),
        [[`no stale bytes at the ${end}`, '1 of 10 transfers']],
      );
    }
  });
});
