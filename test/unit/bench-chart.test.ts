import assert from 'node:assert/strict';
import { bars } from '../../bench/chart/bars.js';
import { lines } from '../../bench/chart/lines.js';
import { scale } from '../../bench/chart/scale.js';
import { svg } from '../../bench/coverage/svg.js';
import type { Figure, Result, Row } from '../../bench/result.js';
import { type Element, elements, resultOf } from './bench-fixture.js';

const rows = [
  { size: 1, kind: 'a', fast: 10, 'fast ±%': 20, slow: 40 },
  { size: 100, kind: 'b', fast: 20, 'fast ±%': 0, slow: 80 },
];
const SERIES = ['fast', 'slow'];

const elementsOf = (figure: Figure, result: Result): Element[] => {
  const picture = figure(result);
  assert.ok(picture !== undefined, 'nothing is shown');
  return elements(picture);
};

const count = (texts: readonly string[], text: string): number => texts.filter((one) => one === text).length;

describe('a scale of a chart', () => {
  it('maps from zero in proportion, to a round number', () => {
    const { at, ticks } = scale('linear', [3, 97]);
    assert.deepEqual(ticks, [0, 20, 40, 60, 80, 100]);
    assert.deepEqual([0, 25, 100, 150].map(at), [0, 0.25, 1, 1]);
  });

  it('writes fractions without a rest', () => {
    assert.deepEqual(scale('linear', [0.55]).ticks, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
  });

  it('has room for what is below zero', () => {
    const { at, ticks } = scale('linear', [-10, 10]);
    assert.equal(ticks[0], -10);
    assert.equal(at(0), 0.5);
  });

  it('maps decades to equal parts', () => {
    const { at, ticks } = scale('log', [1, 10_000]);
    assert.deepEqual(ticks, [1, 10, 100, 1000, 10_000]);
    assert.ok([0.25, 0.5, 0.75].every((part, n) => Math.abs(at(10 ** (n + 1)) - part) < 1e-9));
  });

  it('shows few decades in more detail, up to the next digit', () => {
    assert.deepEqual(scale('log', [23, 460]).ticks, [20, 50, 100, 200, 500]);
    assert.deepEqual(scale('log', [20, 500]).ticks, [20, 50, 100, 200, 500]);
  });

  it('puts what has no logarithm at the low end', () => {
    const { at } = scale('log', [0, 0.1, 100]);
    assert.deepEqual([-5, 0, 0.1].map(at), [0, 0, 0]);
    assert.ok(at(0.5) > 0);
  });

  it('does without values', () => {
    for (const kind of ['linear', 'log'] as const) {
      const { at, ticks } = scale(kind, []);
      assert.ok(ticks.length >= 2 && Number.isFinite(at(1)), `${kind}: ${ticks.join()}`);
    }
  });
});

describe('a chart', () => {
  const barChart = bars({ title: 'Bars <&> "more"', category: 'size', unit: 'ns', series: SERIES });
  const lineChart = lines({
    title: 'Lines',
    x: { column: 'size', scale: 'log' },
    y: { unit: 'ns', scale: 'log' },
    series: SERIES,
  });
  const number = (one: ReadonlyMap<string, string>, name: string): number => Number(one.get(name));

  it('is XML', () => {
    for (const chart of [barChart, lineChart]) {
      const [root] = elementsOf(chart, resultOf(rows));
      assert.equal(root.name, 'svg');
    }
    const [root] = elementsOf(barChart, resultOf(rows));
    assert.equal(root.attributes.get('aria-label'), 'Bars &lt;&amp;&gt; &quot;more&quot;');
  });

  it('is XML for the matrix, too', () => {
    const cell = { change: 'munmap + mmap', actor: 'child process', cell: 'stale', pfn: 'other' } as const;
    const drawn = elements(svg([{ ...cell, errno: 'a<b', tries: 1, monitor: 'kept' }], 'here'));
    assert.ok(drawn.some(({ text }) => text === 'child process, stale, a&lt;b'));
  });

  it('has bars as long as the values are great', () => {
    const drawn = elementsOf(barChart, resultOf(rows)).filter(({ name, attributes }) => {
      return name === 'rect' && attributes.has('fill');
    });
    const widths = drawn.map(({ attributes }) => number(attributes, 'width'));
    assert.equal(widths.length, 4);
    // In groups: 10 and 40, 20 and 80.
    [1, 4, 2, 8].forEach((times, n) => {
      assert.ok(Math.abs(widths[n] - times * widths[0]) < 1, widths.join());
    });
  });

  it('has whiskers as long as the spread is wide, where there is one', () => {
    const drawn = elementsOf(barChart, resultOf(rows));
    const whiskers = drawn.filter(({ attributes }) => attributes.get('class') === 'whisker');
    assert.equal(whiskers.length, 1);
    const [, from, to] = /^M([\d.]+) .*H([\d.]+)/.exec(whiskers[0].attributes.get('d')!)!.map(Number);
    const bar = drawn.find(({ name, attributes }) => name === 'rect' && attributes.has('fill'))!;
    // 20% either way.
    assert.ok(Math.abs(to - from - 0.4 * number(bar.attributes, 'width')) < 1, `${from} to ${to}`);
    assert.equal(
      elementsOf(lineChart, resultOf(rows)).filter(({ attributes }) => attributes.get('class') === 'whisker')
        .length,
      1,
    );
  });

  it('draws twice as much as far up, wherever it is on a logarithmic axis', () => {
    const circles = elementsOf(lineChart, resultOf(rows)).filter(
      ({ name, attributes }) => name === 'circle' && attributes.get('r') === '3.5',
    );
    const heights = circles.map(({ attributes }) => number(attributes, 'cy'));
    assert.equal(heights.length, 4);
    assert.ok(heights[0] - heights[1] > 10);
    assert.ok(Math.abs(heights[0] - heights[1] - (heights[2] - heights[3])) < 0.5, heights.join());
  });

  it('takes series from rows as well as from columns', () => {
    const long = [
      { size: 1, monitor: 'none', us: 5 },
      { size: 1, monitor: 'ummunotify', us: 1 },
    ];
    const chart = bars({
      title: 'By rows',
      category: 'size',
      unit: 'us',
      series: { by: 'monitor', value: 'us' },
    });
    const texts = elementsOf(chart, resultOf(long)).map(({ text }) => text);
    assert.ok(
      ['none', 'ummunotify', '5 us', '1 us'].every((text) => count(texts, text) === 1),
      texts.join('|'),
    );
  });

  it('says where it ran, and that a virtual machine is good for ratios only', () => {
    const subtitle = (where: 'host' | 'virtual machine'): string =>
      elementsOf(lineChart, resultOf(rows, { where })).find(({ text }) => text.includes('Linux 6.1.0'))!.text;
    assert.match(subtitle('host'), /^on the host · Linux 6\.1\.0 · 2 x Model · 2026-11-24$/);
    assert.match(subtitle('virtual machine'), /ratios only/);
  });

  it('leaves out a series that the result does not have, and is none when it has no other', () => {
    const texts = (own: typeof rows | { size: number; slow: number }[]): string[] =>
      elementsOf(lineChart, resultOf(own)).map(({ text }) => text);
    const some = texts([{ size: 1, slow: 4 }]);
    assert.ok(some.includes('slow') && !some.includes('fast'));
    assert.deepEqual(
      [lineChart, barChart].map((chart) => chart(resultOf([]))),
      [undefined, undefined],
    );
  });

  it('names the series whose bars are the only ones', () => {
    const texts = (own: readonly Row[]): string[] =>
      elementsOf(barChart, resultOf(own)).map(({ text }) => text);
    assert.equal(count(texts([{ size: 1, slow: 4 }]), 'slow'), 1);
    assert.equal(count(texts([{ size: 1, slow: 4, fast: 2 }]), 'slow'), 1);
    const chart = bars({ title: 'One', category: 'size', unit: 'ns', series: ['slow'] });
    assert.equal(
      elementsOf(chart, resultOf([{ size: 1, slow: 4 }])).filter(({ text }) => text === 'slow').length,
      0,
    );
  });

  it('keeps names at the ends of lines apart, and below the title', () => {
    const close = [1, 2].map((size) => ({ size, fast: 100 * size, slow: 100 * size }));
    const drawn = elementsOf(lineChart, resultOf(close));
    const [a, b] = drawn
      .filter(({ text }) => SERIES.includes(text))
      .map(({ attributes }) => number(attributes, 'y'));
    assert.ok(Math.abs(a - b) >= 12, `${a} and ${b}`);
    const points = drawn.filter(({ attributes }) => attributes.get('r') === '3.5');
    const highest = Math.min(...points.map(({ attributes }) => number(attributes, 'cy')));
    assert.ok(Math.min(a, b) >= highest, `${a} and ${b} above ${highest}`);
  });

  it('has a dashed line at the value that is marked, with its name, and room for it', () => {
    const marked = lines({
      title: 'Marked',
      x: { column: 'size', scale: 'log' },
      y: { unit: 'ns', scale: 'log' },
      mark: { value: 1000, label: 'target' },
      series: SERIES,
    });
    const drawn = elementsOf(marked, resultOf(rows));
    const [line] = drawn.filter(({ attributes }) => attributes.get('class') === 'mark');
    const [, height] = /^M[\d.]+ ([\d.]+)H/.exec(line.attributes.get('d')!)!.map(Number);
    const points = drawn.filter(({ attributes }) => attributes.get('r') === '3.5');
    const [ten, , , eighty] = points.map(({ attributes }) => number(attributes, 'cy'));
    // 10 to 80 are three doublings, and 80 to 1000 is Math.log2(12.5) of them.
    assert.ok(Math.abs((eighty - height) / (ten - eighty) - Math.log2(12.5) / 3) < 0.01, `${height}`);
    assert.equal(drawn.filter(({ text }) => text === 'target').length, 1);
    assert.ok(
      !elementsOf(lineChart, resultOf(rows)).some(({ attributes }) => attributes.get('class') === 'mark'),
    );
  });
});
