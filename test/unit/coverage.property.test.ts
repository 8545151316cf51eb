import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Coverage } from '../../src/cache/coverage.js';
import { Slots } from '../../src/cache/slots.js';
import type { Entry } from '../../src/cache/registration.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { at } from './cache-fixture.js';

const keeper = { lastRelease() {}, invalidated() {}, gone() {} };
const PAGES = 2000;
/** Pages in a leaf of the page table; the next levels have as many cells. */
const LEAF = 512;

/** What Coverage stands for, without its cleverness. */
class NaiveCoverage {
  readonly entries = new Set<Entry>();

  covers(start: number, end: number): boolean {
    return [...this.entries].some((entry) => entry.start <= start && end <= entry.end);
  }
}

describe('coverage against a naive list of ranges', () => {
  it('finds a registration exactly when one covers the request, also across leaves of the page table', () => {
    check(
      fc.nat(PAGES - 1),
      // Mostly small, sometimes more than a leaf of 512 pages.
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1300 })),
    );
  });

  it('the same for registrations of one page and of terabytes side by side', () => {
    check(
      fc
        .tuple(fc.constantFrom(1, LEAF, LEAF ** 2, LEAF ** 3), fc.nat(4), fc.integer({ min: -2, max: 2 }))
        .map(([block, number, offset]) => Math.max(0, block * number + offset)),
      fc.oneof(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 * LEAF ** 2 }),
        fc.integer({ min: 1, max: 3 * LEAF ** 3 }),
        fc.constantFrom(LEAF, LEAF ** 2, LEAF ** 3),
      ),
    );
  });

  it('finds what lies within the whole address space without a walk over its pages', () => {
    const slots = new Slots();
    const coverage = new Coverage();
    const entries = [0, 1, LEAF, LEAF ** 3].map((page) => slots.create(keeper, at(page), at(page + 1), 1));
    entries.forEach((entry) => {
      coverage.insert(entry);
    });
    assert.deepEqual(coverage.within(PAGE_SIZE, 2 ** 52), entries);
  });
});

/** As a hit does it, which finds what was found before. */
function findSmall(coverage: Coverage, address: number, length: number): Entry | undefined {
  const page = address / PAGE_SIZE;
  const known = coverage.quicklyAtPage(page);
  coverage.find(address, address + 1);
  const entry = coverage.quicklyAtPage(page);
  assert.ok(known === undefined || known === entry);
  return entry?.reaches(address, length) ? entry : undefined;
}

describe('coverage: a request of less than 2^31 bytes', () => {
  // Where the low 32 bits of the number of a page change sign or begin again, and the ends of the address space.
  for (const middle of [8, 2 ** 31, 2 ** 32, 3 * 2 ** 31, 2 ** 39, (2 ** 52 - 8 * PAGE_SIZE) / PAGE_SIZE]) {
    for (const pages of [2, 5, 2 ** 31 / PAGE_SIZE, 2 ** 31 / PAGE_SIZE + 2]) {
      it(`is served by ${pages} pages about page ${middle} as any other`, () => {
        const first = middle - Math.min(middle - 1, Math.ceil(pages / 2));
        const last = Math.min(first + pages, 2 ** 52 / PAGE_SIZE);
        const coverage = new Coverage();
        const [start, end] = [first * PAGE_SIZE, last * PAGE_SIZE];
        coverage.insert(new Slots().create(keeper, start, end, 1));
        const from = [-1, 0, 1].flatMap((bytes) =>
          [start, start + PAGE_SIZE, middle * PAGE_SIZE, end].map((edge) => edge + bytes),
        );
        for (const address of from) {
          const lengths = [1, 2, PAGE_SIZE, PAGE_SIZE + 1, 2 ** 31 - PAGE_SIZE, 2 ** 31 - 1];
          lengths.push(
            ...[end, middle * PAGE_SIZE].flatMap((edge) => [-1, 0, 1].map((n) => edge - address + n)),
          );
          for (const length of lengths) {
            if (length < 1 || length >= 2 ** 31 || address + length > 2 ** 52) continue;
            const found = coverage.find(address, address + length);
            assert.equal(findSmall(coverage, address, length), found, `${length} bytes from ${address} on`);
          }
        }
      });
    }
  }

  it('is never served by too few pages, however many 2^32 pages more or less there are', () => {
    const coverage = new Coverage();
    const start = 2 ** 20 * PAGE_SIZE;
    for (const pages of [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1]) {
      const end = start + pages * PAGE_SIZE;
      const entry = new Slots().create(keeper, start, end, 1);
      coverage.insert(entry);
      for (const address of [start, start + 1, end - PAGE_SIZE, end - 2 ** 31])
        for (const length of [1, PAGE_SIZE, PAGE_SIZE + 1, 2 ** 31 - 1]) {
          const found = findSmall(coverage, address, length);
          assert.ok(found === undefined || address + length <= end, `${length} bytes from ${address} on`);
        }
      assert.equal(findSmall(coverage, end - 2 ** 31, 2 ** 31 - 1), entry);
      coverage.remove(entry);
    }
  });
});

/** Insert and remove registrations that begin at page `first` and have so many `pages`. */
function check(first: fc.Arbitrary<number>, pages: fc.Arbitrary<number>): void {
  const operation = fc.record({
    first,
    pages,
    remove: fc.option(fc.nat(), { nil: undefined, freq: 2 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
      const slots = new Slots();
      const coverage = new Coverage();
      const naive = new NaiveCoverage();
      const remove = (entry: Entry) => {
        coverage.remove(entry);
        naive.entries.delete(entry);
        slots.free(entry);
      };
      for (const { first, pages, remove: which } of operations) {
        const [start, end] = [at(first), at(first + pages)];
        const overlapping = coverage.overlapping(start, end);
        assert.equal(new Set(overlapping).size, overlapping.length, 'each once');
        assert.deepEqual(
          new Set(overlapping),
          new Set([...naive.entries].filter((entry) => entry.start < end && entry.end > start)),
          'overlapping',
        );
        if (which !== undefined && naive.entries.size > 0) {
          remove([...naive.entries][which % naive.entries.size]);
        } else if (!naive.covers(start, end)) {
          const contained = coverage.within(start, end);
          const expected = [...naive.entries].filter((entry) => entry.start >= start && entry.end <= end);
          assert.deepEqual(new Set(contained), new Set(expected), 'within');
          contained.forEach(remove);
          const entry = slots.create(keeper, start, end, 1);
          coverage.insert(entry);
          naive.entries.add(entry);
        }
        for (const entry of naive.entries) {
          for (const [from, to] of probes(entry)) {
            const found = coverage.find(from, to);
            assert.equal(found !== undefined, naive.covers(from, to), 'find');
            if (found !== undefined)
              assert.ok(found.start <= from && to <= found.end && naive.entries.has(found));
          }
        }
      }
      naive.entries.forEach(remove);
      assert.equal(coverage.nodes, 0);
    }),
    { numRuns: 300 },
  );
}

/** Requests around the edges of a registration. */
function probes({ start, end }: Entry): [number, number][] {
  return [
    [start, end],
    [start, start + 1],
    [end - 1, end],
    [start - 1, start + 1],
    [end - 1, end + 1],
    [start - 1, end + 1],
  ];
}
