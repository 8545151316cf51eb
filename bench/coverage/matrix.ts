import { styleText } from 'node:util';
import { type Cell, isFailure, type Monitor } from './cell.js';

export type Row = Cell & { monitor: Monitor };

type Style = Parameters<typeof styleText>[0];
const STYLES: Partial<Record<Cell['cell'], Style>> = {
  fresh: 'green',
  refused: 'yellow',
  stale: ['bold', 'red'],
  wrong: ['bold', 'red'],
  hang: ['bold', 'red'],
  crash: ['bold', 'red'],
  broken: 'red',
};

/** A line for each change and actor, a column for each monitor. */
export function matrix(rows: readonly Row[], colour: boolean): string {
  const monitors = [...new Set(rows.map(({ monitor }) => monitor))];
  const lines = new Map<string, string[]>();
  const head = ['change', 'by', ...monitors];
  const widths = head.map((title) => title.length);
  for (const row of rows) {
    const texts = [row.change, row.actor, textOf(row)];
    [0, 1, 2 + monitors.indexOf(row.monitor)].forEach((column, n) => {
      widths[column] = Math.max(widths[column], texts[n].length);
    });
  }
  const line = (cells: string[]): string => cells.join('   ').trimEnd();
  for (const { change, actor } of rows) {
    const cells = monitors.map((monitor, n) => {
      const row = rows.find((one) => one.change === change && one.actor === actor && one.monitor === monitor);
      if (row === undefined) return ''.padEnd(widths[n + 2]);
      const text = textOf(row).padEnd(widths[n + 2]);
      const style = STYLES[row.cell];
      return colour && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
    });
    lines.set(`${change}/${actor}`, [change.padEnd(widths[0]), actor.padEnd(widths[1]), ...cells]);
  }
  const title = line(head.map((text, n) => text.padEnd(widths[n])));
  return [title, '-'.repeat(title.length), ...[...lines.values()].map(line)].join('\n');
}

/** What came of how many changes, a line for each monitor. */
export function totals(rows: readonly Row[]): string {
  const monitors = [...new Set(rows.map(({ monitor }) => monitor))];
  const texts = [...new Set(rows.map(textOf))].sort();
  const counts = monitors.map((monitor) =>
    texts.map((text) => rows.filter((row) => row.monitor === monitor && textOf(row) === text).length),
  );
  const width = Math.max(...monitors.map(({ length }) => length));
  const line = (head: string, cells: readonly (string | number)[]): string =>
    [head.padEnd(width), ...cells.map((cell, n) => String(cell).padStart(Math.max(texts[n].length, 4)))].join(
      '   ',
    );
  return [line('', texts), ...monitors.map((monitor, n) => line(monitor, counts[n]))].join('\n');
}

/** Stale bytes stand out without colour, too. */
export function textOf({ cell, pfn }: Cell): string {
  if (cell === 'stale' || cell === 'wrong') return cell.toUpperCase();
  // Right by chance: the old pages had the same bytes.
  return pfn === 'other' ? `${cell} (pfn)` : cell;
}

export const failures = (rows: readonly Row[]): Row[] => rows.filter((row) => isFailure(row.monitor, row));
