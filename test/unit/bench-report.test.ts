import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BENCHES } from '../../bench/benches.js';
import { report } from '../../bench/report/report.js';
import type { Result, Row } from '../../bench/result.js';
import { elements, resultOf } from './bench-fixture.js';

/** Rows with a value in each column that the benchmark describes. */
function sampleOf(name: string): Result {
  const columns = Object.entries(BENCHES.get(name)!.about.columns);
  const rows = [1, 2].map((n) =>
    Object.fromEntries(
      columns.map(([column, kind]): [string, Row[string]] => [
        column,
        typeof kind === 'object' && 'words' in kind ? kind.words[0] : n,
      ]),
    ),
  );
  return resultOf(rows, { name, command: `npm run bench -- ${name}` });
}

const all = new Map([...BENCHES.keys()].map((name) => [name, sampleOf(name)]));

describe('the report of the benchmarks', () => {
  it('has a section with figure, table and command for each benchmark, in the contents, too', () => {
    const page = report(BENCHES, all);
    for (const [name, { about }] of BENCHES) {
      const [, section] = page.split(`<section id="${name}">`);
      const [own] = section.split('</section>');
      assert.ok(page.includes(`<a href="#${name}">`), name);
      assert.equal(own.split('<svg').length - 1, about.figures.length, name);
      assert.ok(own.includes('<table>') && own.includes(`npm run bench -- ${name}`), name);
    }
  });

  it('needs nothing but itself', () => {
    const page = report(BENCHES, all);
    // The name of SVG's namespace is no address that anybody loads.
    const rest = page.replaceAll('xmlns="http://www.w3.org/2000/svg"', '');
    assert.doesNotMatch(rest, /https?:|\bsrc=|<link|<script|@import|url\(/);
    assert.ok([...page.matchAll(/href="([^"]*)"/g)].every(([, target]) => target.startsWith('#')));
  });

  it('is well-formed', () => {
    const page = report(BENCHES, all)
      .replace('<!doctype html>', '')
      .replaceAll(/<meta ([^>]*)>/g, '<meta $1/>');
    assert.ok(elements(page).length > 100);
  });

  it('says what is not measured yet, and how to', () => {
    const page = report(BENCHES, new Map());
    for (const name of BENCHES.keys()) assert.ok(page.includes(`npm run bench -- ${name}`), name);
    assert.equal(page.split('<p>Not measured yet.</p>').length - 1, BENCHES.size);
  });

  it('says where it ran, and names stand-ins', () => {
    const page = (more: Partial<Result>): string =>
      report(BENCHES, new Map([['hit', { ...sampleOf('hit'), ...more }]]));
    assert.match(
      page({ where: 'virtual machine' }),
      /virtual machine \(ratios only\), 2 x Model, Linux 6\.1\.0/,
    );
    assert.match(page({ registrar: 'null' }), /With stand-ins, which do nothing: registrar &quot;null&quot;/);
    assert.doesNotMatch(page({ registrar: 'ibverbs' }), /With stand-ins/);
  });

  it('shows the table of a benchmark that is not known', () => {
    const page = report(
      BENCHES,
      new Map([['new<', resultOf([{ size: 7, 'size ±%': 3, word: 'a<b' }], { name: 'new<' })]]),
    );
    assert.match(page, /<section id="new&lt;">/);
    assert.match(page, /<td class="number">7 <small>±3%<\/small><\/td><td>a&lt;b<\/td>/);
  });
});

describe('the benchmarks', () => {
  it('have a program each, and columns by which rows are told apart', () => {
    for (const [name, { about }] of BENCHES) {
      assert.ok(existsSync(fileURLToPath(new URL(`../../bench/${name}.js`, import.meta.url))), name);
      assert.ok(Object.values(about.columns).includes('key'), name);
      assert.match(about.question, /\?$/);
    }
  });
});
