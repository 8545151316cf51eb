import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BENCHES } from '../../bench/benches.js';
import { report } from '../../bench/report/report.js';
import type { Result, Row } from '../../bench/result.js';
import { elements, resultOf } from './bench-fixture.js';

/** What the figures choose rows by. */
const CHOSEN: Readonly<Record<string, readonly Row[]>> = {
  hit: [{ what: 'hit', ranges: 10_000 }],
  miss: [{ what: 'register + insert' }, { what: 'evict + deregister' }],
  overhead: [{ registrations: 1_000 }, { registrations: 1_000_000 }],
  storm: [{ remapped: 'at once' }, { remapped: 'in between' }],
  transfer: [{ what: 'write' }, { what: 'read' }],
};

/** Rows with a value in each column that the benchmark describes. */
function sampleOf(name: string): Result {
  const columns = Object.entries(BENCHES.get(name)!.about.columns);
  const rows = [1, 2].flatMap((n) => {
    const row = Object.fromEntries(
      columns.map(([column, kind]): [string, Row[string]] => [
        column,
        typeof kind === 'object' && 'words' in kind ? kind.words[0] : n,
      ]),
    );
    return (CHOSEN[name] ?? [{}]).map((chosen) => ({ ...row, ...chosen }));
  });
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

  it('has the parts of a benchmark in one section, each with its answer, figures and table', () => {
    const parts = ['storm', 'storm-vm'].map((name, n): [string, Result] => [
      name,
      { ...sampleOf('storm'), name, where: n === 0 ? 'host' : 'virtual machine' },
    ]);
    const page = report(BENCHES, new Map([...parts].reverse()));
    assert.doesNotMatch(page, /<section id="storm-vm">/);
    const own = page.split('<section id="storm">')[1].split('</section>')[0];
    const headings = [...own.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, heading]) => heading);
    assert.deepEqual(headings, [
      'On the host, Linux 6.1.0',
      'In the virtual machine (ratios only), Linux 6.1.0',
    ]);
    assert.equal(own.split('<table>').length - 1, 2);
    assert.equal(own.split('<svg').length - 1, 2 * BENCHES.get('storm')!.about.figures.length);
    assert.equal(own.split(BENCHES.get('storm')!.about.method.slice(0, 40)).length - 1, 1);
    assert.doesNotMatch(report(BENCHES, new Map([parts[0]])), /<h3>/);
  });

  it('leaves out a figure of what the result does not have', () => {
    const rows = sampleOf('miss').rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([column]) => column !== 'cache itself')),
    );
    const page = report(BENCHES, new Map([['miss', resultOf(rows, { name: 'miss' })]]));
    assert.equal(page.split('<svg').length - 1, BENCHES.get('miss')!.about.figures.length - 1);
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
