import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PageTable } from '../../src/cache/page-table.js';

/** Pages that a cell stands for, on the levels of the table, when a page has 4 KiB. */
const [MIB2, GIB, GIB512] = [512, 512 ** 2, 512 ** 3];
/** A page where mmap puts memory; a multiple of 512 GiB. */
const HIGH = 0x7f00_0000_0000 / 4096;

const [ONE, TWO] = [{ name: 'one' }, { name: 'two' }];
const WHOM = [undefined, ONE, TWO, { name: 'three' }];

describe('the page table', () => {
  it('does what a list of fills does', () => {
    const page = fc
      .tuple(
        fc.constantFrom(0, HIGH, 2 ** 39 - GIB512),
        fc.constantFrom(1, MIB2, GIB, GIB512),
        fc.nat(3),
        fc.integer({ min: -2, max: 2 }),
      )
      .map(([base, block, number, offset]) => Math.max(0, base + block * number + offset));
    const fill = fc.tuple(page, page, fc.constantFrom(...WHOM)).map(([a, b, whom]) => ({
      first: Math.min(a, b),
      end: Math.max(a, b),
      whom,
    }));
    fc.assert(
      fc.property(fc.array(fill, { maxLength: 20, size: 'max' }), (fills) => {
        const table = new PageTable<{ name: string }>();
        // Not all each time: whoever is found is noted down.
        const asked = (page: number, i: number): boolean => i === fills.length - 1 || page % 3 === i % 3;
        const edges = fills.flatMap(({ first, end }) => [first, end]);
        const pages = [...new Set(edges.flatMap((edge) => [edge - 1, edge, edge + 1]))]
          .filter((page) => page >= 0)
          .sort((a, b) => a - b);
        fills.forEach(({ first, end, whom }, i) => {
          table.fill(first, end, whom);
          const done = fills.slice(0, i + 1);
          const expected = (page: number) =>
            done.findLast((one) => one.first <= page && page < one.end)?.whom;
          for (const page of pages.filter((page) => asked(page, i))) {
            const known = table.quick(page);
            assert.ok(known === undefined || known === expected(page), 'known');
            assert.equal(table.get(page), expected(page), 'get');
            assert.equal(table.quick(page), expected(page), 'known once it was found');
          }
          // Something begins or ends only at an edge.
          const last = pages.at(-1)!;
          for (const page of pages) {
            const taken = pages.find((other) => other >= page && expected(other) !== undefined);
            assert.equal(table.seek(page, last), taken ?? last, 'seek');
          }
        });
        table.fill(0, 2 ** 40, undefined);
        assert.equal(table.nodes, 0);
      }),
      { numRuns: 300 },
    );
  });

  it('needs a few nodes for 64 GiB at an odd place, and none afterwards', () => {
    const table = new PageTable<{ name: string }>();
    table.fill(HIGH + 3, HIGH + 3 + 64 * GIB, ONE);
    assert.ok(table.nodes <= 5, `${table.nodes} nodes`);
    table.fill(HIGH + 40 * GIB + 7, HIGH + 41 * GIB + 7, TWO);
    assert.ok(table.nodes <= 9, `${table.nodes} nodes`);
    table.fill(HIGH + 40 * GIB + 7, HIGH + 41 * GIB + 7, ONE);
    assert.ok(table.nodes <= 5, `${table.nodes} nodes after an overlap has gone`);
    table.fill(HIGH + 3, HIGH + 3 + 64 * GIB, undefined);
    assert.equal(table.nodes, 0);
  });

  it('joins a block again whose pages were given to one object one by one', () => {
    const table = new PageTable<{ name: string }>();
    for (let page = 0; page < MIB2; page++) table.fill(HIGH + page, HIGH + page + 1, ONE);
    assert.equal(table.get(HIGH + MIB2 - 1), ONE);
    assert.equal(table.nodes, 2);
  });

  it('knows at once who has a page where what was given away begins, and where it was found before', () => {
    const table = new PageTable<{ name: string }>();
    table.fill(HIGH + 5, HIGH + 3 * MIB2, ONE);
    // A page, and the first of a block of pages, that others are before.
    for (const page of [HIGH + 6, HIGH + 2 * MIB2]) {
      assert.equal(table.quick(page), undefined);
      assert.equal(table.get(page), ONE);
      assert.equal(table.quick(page), ONE);
    }
    assert.equal(table.quick(HIGH + 5), ONE);
    // Not what was before it.
    table.fill(HIGH + 6, HIGH + 8, TWO);
    assert.deepEqual(
      [5, 6, 7, 8].map((page) => table.get(HIGH + page)),
      [ONE, TWO, TWO, ONE],
    );
  });

  it('uses what was freed again', () => {
    const table = new PageTable<{ name: string }>();
    for (let i = 0; i < 1000; i++) {
      table.fill(i * GIB, i * GIB + 1, ONE);
      assert.equal(table.nodes, 3);
      table.fill(i * GIB, i * GIB + 1, undefined);
      assert.equal(table.nodes, 0);
    }
  });

  it('gives its memory back when nothing is left', () => {
    const table = new PageTable<{ name: string }>();
    const empty = table.size;
    for (let i = 0; i < 10_000; i++) table.fill(HIGH + i * MIB2, HIGH + i * MIB2 + 1, ONE);
    assert.ok(table.size > 5_000_000 && table.size < 6_750_000, `${table.size} cells for 10,000 leaves`);
    for (let i = 0; i < 10_000; i++) table.fill(HIGH + i * MIB2, HIGH + i * MIB2 + 1, undefined);
    assert.equal(table.size, empty);
    assert.equal(table.get(HIGH), undefined);
  });
});
