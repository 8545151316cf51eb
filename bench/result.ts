import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { basename, join } from 'node:path';
import { DEFAULT_SERIES } from '../native/vm/kernel.js';
import { PROJECT } from '../native/vm/project.js';

/** What a benchmark found, for programs; the table is made from the same rows. */
export interface Result {
  schema: 1;
  /** The benchmark's, or with the part that it is of it: see benchOf(). */
  name: string;
  /** The machine it ran on: times measured in a virtual machine are good for ratios only. */
  where: 'host' | 'virtual machine';
  kernel: string;
  /** The processor's model and how many of them there are. */
  cpu: string;
  /** Its version. */
  node: string;
  /** When it was measured: ISO 8601, UTC. */
  date: string;
  /** What to type to have it measured again. */
  command: string;
  /** Who watched the mappings, and who made registrations; '-' when not part of the question. */
  monitor: string;
  registrar: string;
  /** Of all numbers in the rows that are no counts. */
  unit: string;
  /** The column `NAME ±%` has the spread of the column NAME. */
  rows: Row[];
}

export type Row = Record<string, number | string>;

/**
 * NAME.json is a result of the benchmark NAME, and NAME-PART.json one from another place than its usual one. A name
 * that begins like that of another benchmark belongs to the longest.
 * @returns the benchmark among those that are known
 */
export const benchOf = (result: string, known: Iterable<string>): string | undefined =>
  [...known]
    .filter((name) => result === name || result.startsWith(`${name}-`))
    .toSorted((a, b) => b.length - a.length)
    .at(0);

/** What a result from here is called: the part says where, and which kernel, when that is not the usual one there. */
export function nameOfResult(bench: string, usual: Result['where'] = 'virtual machine'): string {
  const { where, kernel } = here();
  if (where === 'host') return bench;
  const series = kernel.split('.', 2).join('.');
  const parts = [usual === 'host' ? 'vm' : [], series === DEFAULT_SERIES ? [] : series];
  return [bench, ...parts.flat()].join('-');
}

/** The parts of a result that are the same for every benchmark on this machine. */
export function here(): Omit<Result, 'name' | 'monitor' | 'registrar' | 'unit' | 'rows'> {
  const [program, ...args] = process.argv.slice(1);
  const processors = cpus();
  return {
    schema: 1,
    where: inVirtualMachine() ? 'virtual machine' : 'host',
    kernel: release(),
    cpu: `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown'}`,
    node: process.version,
    date: new Date().toISOString(),
    command: ['npm run bench --', basename(program, '.js'), ...args].join(' '),
  };
}

/** The guests of native/vm say so themselves. */
const inVirtualMachine = (): boolean => process.env['RDMA_REGCACHE_VM'] === '1';

export const RESULTS = join(PROJECT, 'bench', 'results');

/** Draws a picture of a result: SVG; undefined when that has nothing of what is shown. */
export type Figure = (result: Result) => string | undefined;

/**
 * Save below bench/results, from where the virtual machine hands it back: NAME.json, and the pictures beside it as
 * NAME.svg, NAME-2.svg and so on.
 * @returns the path of the first
 */
export function save(result: Result, figures: readonly Figure[] = []): string {
  mkdirSync(RESULTS, { recursive: true });
  const path = join(RESULTS, `${result.name}.json`);
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  figures.forEach((figure, n) => {
    const picture = figure(result);
    if (picture === undefined) return;
    writeFileSync(join(RESULTS, `${result.name}${n === 0 ? '' : `-${n + 1}`}.svg`), picture);
  });
  return path;
}

/** The rows as an aligned table, numbers to the right, each with its spread. */
export function table(rows: readonly Row[]): string {
  const columns = columnsOf(rows);
  const cells = rows.map((row) => columns.map((name) => cellText(row, name)));
  const widths = columns.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i].length)));
  const line = (texts: string[]): string => texts.map((text, i) => text.padStart(widths[i])).join('   ');
  return [line(columns), '-'.repeat(line(columns).length), ...cells.map(line)].join('\n');
}

/** All columns of the rows but those of spreads, which are shown in the cells that they belong to. */
export function columnsOf(rows: readonly Row[]): string[] {
  const all = new Set(rows.flatMap((row) => Object.keys(row)));
  return [...all].filter((name) => ![...all].some((other) => name === spreadColumn(other)));
}

/** What a reader sees of a cell: '1,234 ±5%'. */
export function cellText(row: Row, column: string): string {
  if (!(column in row)) return '';
  const value = row[column];
  const text = typeof value === 'number' ? value.toLocaleString('en-US') : value;
  const spread = spreadColumn(column);
  return spread in row ? `${text} ±${row[spread]}%` : text;
}

/** The middle of the numbers, the lower one of two. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** Half of the range between the quartiles. */
export function spread(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const quarter = Math.floor(sorted.length / 4);
  return (sorted[sorted.length - 1 - quarter] - sorted[quarter]) / 2;
}

/** The column that has the spread of another one, in % of what that has. */
export const spreadColumn = (column: string): string => `${column} ±%`;

/** Two cells of a row: the median of what was measured several times, and its spread. */
export function measured(column: string, numbers: readonly number[], digits = 0): Row {
  const middle = median(numbers);
  return {
    [column]: rounded(middle, digits),
    [spreadColumn(column)]: middle === 0 ? 0 : Math.round((100 * spread(numbers)) / middle),
  };
}

export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
