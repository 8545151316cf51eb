import type { About } from '../about/about.js';
import { escape } from '../chart/svg.js';
import { benchOf, type Result } from '../result.js';
import { STYLE } from './style.js';
import { htmlTable } from './table.js';

/** Longer tables are folded. */
const LONG = 60;

/**
 * One page about all benchmarks, which needs nothing but itself.
 * @param results by name; the parts of a benchmark share its section. Of one that is not known any more only the table
 * is shown
 */
export function report(
  benches: ReadonlyMap<string, { readonly about: About }>,
  results: ReadonlyMap<string, Result>,
): string {
  const parts = byBench([...benches.keys()], [...results.values()]);
  const sections = [...parts].map(([name, own]) => section(name, benches.get(name)?.about, own));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rdma-regcache: benchmarks</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>rdma-regcache: benchmarks</h1>
<p>rdma-regcache keeps registrations of memory for RDMA, and asks the kernel before it trusts one. These are the questions
that its benchmarks answer: whether what arrives is right, and what that costs.</p>
<p>What is compared was measured side by side, in one run. Figures are medians of several rounds; ± and the whiskers in
the pictures are half of the range between the quartiles, in tables in % of the median. Times that were measured in a
virtual machine are good for ratios only: emulation slows different things down by different factors.</p>
<nav aria-label="Contents">
<ol>
${[...parts].map(([name, own]) => `<li><a href="#${escape(name)}">${escape(questionOf(name, benches.get(name)?.about))}</a>${own.length > 0 ? '' : ' <span class="quiet">(not measured yet)</span>'}</li>`).join('\n')}
</ol>
</nav>
${results.size > 0 ? machines([...parts.values()].flat()) : ''}
${sections.join('\n')}
</main>
</body>
</html>
`;
}

/** In the order of the benchmarks, that from the usual place first; what belongs to none comes last. */
function byBench(names: readonly string[], results: readonly Result[]): Map<string, Result[]> {
  const parts = new Map<string, Result[]>(names.map((name) => [name, []]));
  for (const result of results.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = benchOf(result.name, names) ?? result.name;
    parts.set(name, [...(parts.get(name) ?? []), result]);
  }
  return parts;
}

const questionOf = (name: string, about: About | undefined): string => about?.question ?? name;

/** Where and when each was measured. */
function machines(results: readonly Result[]): string {
  const rows = results.map((result) => ({
    benchmark: result.name,
    measured: dateText(result.date),
    where: placeOf(result),
    processors: result.cpu,
    Linux: result.kernel,
    Node: result.node,
  }));
  return htmlTable(rows, 'When and where each was measured');
}

function section(name: string, about: About | undefined, results: readonly Result[]): string {
  const head = `<div class="name">${escape(name)}</div>\n<h2>${escape(questionOf(name, about))}</h2>`;
  const body =
    results.length === 0
      ? [`<p>Not measured yet.</p>\n<pre>npm run bench -- ${escape(name)}</pre>`]
      : [
          ...results.map((result) => part(result, about, results.length > 1)),
          ...(about === undefined
            ? []
            : [`<p>${escape(about.method)}</p>`, list(Object.entries(about.terms))]),
        ];
  return `<section id="${escape(name)}">\n${head}\n${body.join('\n')}\n</section>`;
}

/** @param headed whether there are others, from which a heading tells it apart */
function part(result: Result, about: About | undefined, headed: boolean): string {
  const figures = (about?.figures ?? []).map((figure) => figure(result)).filter((one) => one !== undefined);
  return [
    ...(headed ? [`<h3>${escape(headingOf(result))}</h3>`] : []),
    answer(about?.answer(result)),
    ...figures.map((figure) => `<figure>${figure}</figure>`),
    tableOf(result),
    standIn(result),
    facts(result),
  ].join('\n');
}

const headingOf = ({ where, kernel }: Result): string =>
  `${where === 'host' ? 'On the host' : 'In the virtual machine (ratios only)'}, Linux ${kernel}`;

const answer = (text: string | undefined): string =>
  text === undefined ? '' : `<p class="answer">${escape(text)}</p>`;

function tableOf({ rows, unit }: Result): string {
  const whole = htmlTable(rows, unit === '-' ? '' : unit);
  return rows.length > LONG
    ? `<details><summary>All ${rows.length.toLocaleString('en-US')} rows</summary>${whole}</details>`
    : whole;
}

/** Stand-ins are called null; who reads the figures must know. */
function standIn({ monitor, registrar }: Result): string {
  const standIns = Object.entries({ monitor, registrar }).filter(([, name]) => name.startsWith('null'));
  if (standIns.length === 0) return '';
  const names = standIns.map(([what, name]) => `${what} "${name}"`).join(' and ');
  return `<p class="stand-in">With stand-ins, which do nothing: ${escape(names)}.</p>`;
}

function facts(result: Result): string {
  const rows = [
    ['monitor', result.monitor],
    ['registrar', result.registrar],
    ['machine', `${placeOf(result)}, ${result.cpu}, Linux ${result.kernel}, Node ${result.node}`],
    ['measured', dateText(result.date)],
  ].filter(([, value]) => value !== '-');
  return `${list(rows)}\n<pre>${escape(result.command)}</pre>`;
}

const list = (rows: readonly (readonly string[])[]): string =>
  rows.length === 0
    ? ''
    : `<dl>${rows.map(([what, value]) => `<dt>${escape(what)}</dt><dd>${escape(value)}</dd>`).join('')}</dl>`;

const placeOf = ({ where }: Result): string => (where === 'host' ? 'host' : 'virtual machine (ratios only)');

/** An ISO date for people. */
const dateText = (date: string): string => date.replace(/T(\d\d:\d\d).*$/, ' $1 UTC');
