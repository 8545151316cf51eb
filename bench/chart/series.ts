import { type Result, type Row, spreadColumn } from '../result.js';

/** A value of a series; the spread is in the unit of the value. */
export interface Point {
  readonly key: number | string;
  readonly value: number;
  readonly spread: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/** What a chart takes from a result: a column for each series, or a row, when `by` is the column that names it. */
export interface Choice {
  readonly series: readonly string[] | { readonly by: string; readonly value: string };
  /** Chooses rows; all, when it is left out. */
  readonly of?: (row: Row) => boolean;
}

/** Those that have something to show. */
export function seriesOf(rows: readonly Row[], { series, of = () => true }: Choice, key: string): Series[] {
  const chosen = rows.filter((row) => key in row && of(row));
  const all =
    'by' in series
      ? [...new Set(chosen.map((row) => row[series.by]))].map((name) => ({
          name: String(name),
          points: points(
            chosen.filter((row) => row[series.by] === name),
            key,
            series.value,
          ),
        }))
      : series.map((column) => ({ name: column, points: points(chosen, key, column) }));
  return all.filter((one) => one.points.length > 0);
}

function points(rows: readonly Row[], key: string, column: string): Point[] {
  return rows.flatMap((row) => {
    const value = row[column];
    if (typeof value !== 'number') return [];
    return [{ key: row[key], value, spread: (value * Number(row[spreadColumn(column)] ?? 0)) / 100 }];
  });
}

/** What the axes have to have room for: whiskers, too. */
export const extent = (all: readonly Series[]): number[] =>
  all.flatMap(({ points }) => points.flatMap(({ value, spread }) => [value - spread, value + spread]));

/** For the subtitle: where it ran, and what the whiskers are. */
export function subtitleOf(
  { where, kernel, cpu, date }: Pick<Result, 'where' | 'kernel' | 'cpu' | 'date'>,
  series: readonly Series[],
): string[] {
  const place = where === 'host' ? 'on the host' : 'in a virtual machine: good for ratios only';
  const spread = series.some(({ points }) => points.some((point) => point.spread > 0));
  return [
    [place, `Linux ${kernel}`, cpu, date.slice(0, 10)].join(' · '),
    ...(spread ? ['Medians; whiskers: half of the range between the quartiles, either way.'] : []),
  ];
}

export const numberText = (value: number): string =>
  value.toLocaleString('en-US', { maximumSignificantDigits: Math.abs(value) < 1000 ? 3 : 15 });
