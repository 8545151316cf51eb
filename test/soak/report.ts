import { release } from 'node:os';
import type { Statistics } from '../../src/cache/statistics.js';
import type { Check } from './checks.js';
import { SETUPS } from './ends.js';
import type { Round } from './round.js';
import { sums } from './round.js';

export interface Report {
  readonly schema: 1;
  readonly name: 'soak';
  readonly kernel: string;
  readonly seed: number;
  readonly seconds: number;
  /** Registrations were kept whatever happened to the memory. */
  readonly kept: boolean;
  readonly ok: boolean;
  readonly checks: readonly Check[];
  /** In all threads together. */
  readonly transfers: number;
  readonly raced: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly stale: number;
  readonly changes: number;
  readonly changed: Readonly<Record<string, number>>;
  /** Both caches of each thread that transfers. */
  readonly threads: readonly { setup: string; transfers: number; statistics: Statistics }[];
  readonly failures: readonly string[];
}

export function reportOf(
  round: Round,
  checks: readonly Check[],
  { seed, seconds, kept }: Pick<Report, 'seed' | 'seconds' | 'kept'>,
): Report {
  const { transferred, changed } = round;
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  return {
    schema: 1,
    name: 'soak',
    kernel: release(),
    seed,
    seconds,
    kept,
    ok: checks.every(({ ok }) => ok),
    checks,
    transfers: sum(transferred.map(({ transfers }) => transfers)),
    raced: sum(transferred.map(({ raced }) => raced)),
    refused: sums(transferred.map(({ refused }) => refused)),
    stale: sum(transferred.map(({ stale }) => stale.sender + stale.receiver)),
    changes: sum(Object.values(changed)),
    changed,
    threads: transferred.map(({ transfers, statistics }, thread) => ({
      setup: SETUPS[thread].name,
      transfers,
      statistics: sums<keyof Statistics>(statistics),
    })),
    failures: transferred.flatMap(({ failures, contradictions }) => [...failures, ...contradictions]),
  };
}

const COLUMNS = [
  'acquires',
  'hits',
  'misses',
  'uncached',
  'invalidations',
  'invalidatedInUse',
  'evictions',
  'replacements',
  'merges',
  'unstable',
] as const satisfies readonly (keyof Statistics)[];

/** For people. */
export function render(report: Report): string {
  const { threads, changed, checks, refused } = report;
  const columns = ['transfers', ...COLUMNS];
  const rows = [
    ...threads.map((thread) => [
      thread.setup,
      ...[thread.transfers, ...COLUMNS.map((name) => thread.statistics[name])].map(String),
    ]),
  ];
  const refusals = Object.entries(refused).map(([code, count]) => `${count} ${code}`);
  return [
    `soak: ${report.seconds} s, seed ${report.seed}, Linux ${report.kernel}${report.kept ? ', registrations kept whatever happens' : ''}`,
    '',
    ...table([['caches of a thread', ...columns], ...rows]),
    '',
    `${report.raced} acquires of memory that was being changed; refused of all: ${refusals.join(', ') || 'none'}`,
    `${report.changes} changes by other threads:`,
    ...table(Object.entries(changed).map(([name, count]) => [`  ${name}`, String(count)])),
    '',
    ...table(checks.map(({ name, ok, seen, needs }) => [ok ? (needs ? '?' : 'ok') : 'FAILED', name, seen])),
    ...report.failures.map((failure) => `  ${failure}`),
    '',
  ].join('\n');
}

/** Columns of equal width, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        /^\d+$/.test(cell) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
}
