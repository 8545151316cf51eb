import type { Column } from '../about/about.js';
import { cellText, columnsOf, type Result, type Row, spreadColumn } from '../result.js';

/** A cell then and now. */
export interface Difference {
  /** What the key columns have. */
  readonly row: string;
  readonly column: string;
  readonly before: string;
  readonly now: string;
  /** In % of what it was; undefined for words, and for what was 0. */
  readonly change: number | undefined;
  readonly verdict: 'same' | 'better' | 'worse' | 'reference';
}

export interface Comparison {
  readonly name: string;
  readonly differences: readonly Difference[];
  /** What about the machine or the way of measuring is not the same. */
  readonly warnings: readonly string[];
  /** What could not be compared, and why. */
  readonly left: readonly string[];
}

/** What makes two results hard to compare. */
const CIRCUMSTANCES = ['where', 'kernel', 'cpu', 'node', 'monitor', 'registrar', 'unit'] as const;

/**
 * Compares two results of a benchmark. A number is worse when it differs to the worse by more than either spread and by
 * more than the tolerance; a word when it comes later in the list.
 * @param tolerance in %
 */
export function compare(
  before: Result,
  now: Result,
  columns: Readonly<Record<string, Column>>,
  tolerance: number,
): Comparison {
  const keys = Object.keys(columns).filter((name) => columns[name] === 'key');
  const earlier = byKey(before.rows, keys);
  const later = byKey(now.rows, keys);
  const left: string[] = [];
  const differences: Difference[] = [];
  for (const [row, was] of earlier) {
    const is = later.get(row);
    if (is === undefined) left.push(`${row}: only before`);
    else differences.push(...differencesOf(row, was, is, columns, tolerance));
  }
  left.push(...[...later.keys()].filter((row) => !earlier.has(row)).map((row) => `${row}: only now`));
  return {
    name: now.name,
    differences,
    warnings: warningsOf(before, now),
    left: [...columnsLeft(), ...left],
  };

  function columnsLeft(): string[] {
    const [then, here] = [columnsOf(before.rows), columnsOf(now.rows)];
    return [...new Set([...then, ...here])].flatMap((name) => {
      if (!(name in columns)) return [`${name}: nobody says whether more of it is better`];
      if (columns[name] === 'information' || (then.includes(name) && here.includes(name))) return [];
      return [`${name}: ${then.includes(name) ? 'only before' : 'only now'}`];
    });
  }
}

/** Rows with the same keys would be told apart by nothing else: the last one counts. */
function byKey(rows: readonly Row[], keys: readonly string[]): Map<string, Row> {
  return new Map(
    rows.map((row) => [keys.map((key) => (key in row ? cellText(row, key) : '-')).join(', '), row]),
  );
}

function warningsOf(before: Result, now: Result): string[] {
  return CIRCUMSTANCES.filter((name) => before[name] !== now[name]).map(
    (name) => `not the same ${name}: ${before[name]} before, ${now[name]} now`,
  );
}

function differencesOf(
  row: string,
  was: Row,
  is: Row,
  columns: Readonly<Record<string, Column>>,
  tolerance: number,
): Difference[] {
  return Object.entries(columns).flatMap(([column, kind]) => {
    if (kind === 'key' || kind === 'information' || !(column in was) || !(column in is)) return [];
    const [from, to] = [was[column], is[column]];
    const cells = { row, column, before: cellText(was, column), now: cellText(is, column) };
    if (typeof kind === 'object' && 'words' in kind) {
      const [a, b] = [kind.words.indexOf(String(from)), kind.words.indexOf(String(to))];
      if (a === -1 || b === -1) return [];
      return [{ ...cells, change: undefined, verdict: a === b ? 'same' : b > a ? 'worse' : 'better' }];
    }
    if (typeof from !== 'number' || typeof to !== 'number') return [];
    // In the unit of the column: each spread is in % of its own value.
    const noise = Math.max(
      (Math.abs(from) * Math.max(tolerance, spreadOf(was, column, kind))) / 100,
      (Math.abs(to) * spreadOf(is, column, kind)) / 100,
    );
    const worse = kind === 'higher' ? from - to : to - from;
    const verdict =
      kind === 'reference' ? 'reference' : Math.abs(worse) <= noise ? 'same' : worse > 0 ? 'worse' : 'better';
    return [{ ...cells, change: from === 0 ? undefined : (100 * (to - from)) / Math.abs(from), verdict }];
  });
}

/** In %; that of a quotient is at most that of both together. */
function spreadOf(row: Row, column: string, kind: Column): number {
  const parts: readonly string[] = typeof kind === 'object' && 'lower' in kind ? kind.lower : [column];
  return parts.reduce((sum, part) => sum + Number(row[spreadColumn(part)] ?? 0), 0);
}
