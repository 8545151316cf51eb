import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from '../native/vm/project.js';

/** What a benchmark found, for programs; the table is made from the same rows. */
export interface Result {
  schema: 1;
  /** The benchmark. */
  name: string;
  /** The machine it ran on: times measured in a virtual machine are good for ratios only. */
  where: 'host' | 'virtual machine';
  kernel: string;
  /** Who watched the mappings, and who made registrations; '-' when not part of the question. */
  monitor: string;
  registrar: string;
  /** Of all numbers in the rows that are no counts. */
  unit: string;
  rows: Record<string, number | string>[];
}

/** The parts of a result that are the same for every benchmark on this machine. */
export function here(): Pick<Result, 'schema' | 'where' | 'kernel'> {
  return { schema: 1, where: inVirtualMachine() ? 'virtual machine' : 'host', kernel: release() };
}

/** The guests of native/vm say so themselves. */
const inVirtualMachine = (): boolean => process.env['RDMA_REGCACHE_VM'] === '1';

/** Save below bench/results, from where the virtual machine hands it back. */
export function save(result: Result): string {
  const folder = join(PROJECT, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${result.name}.json`);
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}

/** The rows as an aligned table, numbers to the right. */
export function table(rows: Result['rows']): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) =>
    columns.map((name) => {
      const value = row[name];
      return typeof value === 'number' ? value.toLocaleString('en-US') : value;
    }),
  );
  const widths = columns.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i].length)));
  const line = (texts: string[]): string => texts.map((text, i) => text.padStart(widths[i])).join('   ');
  return [line(columns), '-'.repeat(line(columns).length), ...cells.map(line)].join('\n');
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

/** The cells of a row for what was measured: its median, and in another one the spread in % of that. */
export function cells(name: string, numbers: readonly number[], digits: number): Result['rows'][number] {
  const middle = median(numbers);
  return {
    [name]: rounded(middle, digits),
    [`${name} ±%`]: middle === 0 ? 0 : Math.round((100 * spread(numbers)) / middle),
  };
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The name of a result that is had on the host as well as in the virtual machine, so that both are kept. */
export const placed = (name: string): string => (inVirtualMachine() ? `${name}-vm` : name);
