import type { Statistics } from '../../cache/statistics.js';
import type { PublishedCache, Snapshot } from '../../publish/snapshot.js';
import type { Paint } from '../terminal.js';
import { inUnits } from '../units.js';
import { printable } from './target.js';

/** About now; all others count from the beginning. */
const NOW: ReadonlySet<string> = new Set<keyof Statistics>(['registered', 'pinnedBytes']);

const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/**
 * A table for each cache, for people.
 * @param before what was said `seconds` earlier, for what happened a second since then
 */
export function render(now: Snapshot, before: Snapshot | undefined, seconds: number, paint: Paint): string {
  const head = paint('bold', `process ${now.pid}  ${printable(now.title)}`);
  if (now.caches.length === 0) return `${head}\n\nno cache takes part now\n`;
  const tables = now.caches.map((cache) => {
    const earlier = before?.caches.find(({ name, thread }) => name === cache.name && thread === cache.thread);
    return tableOf(cache, earlier, seconds, paint);
  });
  return [head, ...tables].join('\n\n') + '\n';
}

function tableOf(
  cache: PublishedCache,
  earlier: PublishedCache | undefined,
  seconds: number,
  paint: Paint,
): string {
  const { name, thread, monitor, statistics, sizes } = cache;
  const rows = Object.entries(statistics).map(([field, value]: [string, number]): Row => {
    const total = field === 'pinnedBytes' ? inUnits(value) : count(value);
    if (NOW.has(field) || earlier === undefined) return [field, total, ''];
    return [field, total, count((value - earlier.statistics[field as keyof Statistics]) / seconds)];
  });
  const { hits, acquires } = statistics;
  const rate = acquires === 0 ? '-' : `${((100 * hits) / acquires).toFixed(1)} %`;
  const where = thread === 0 ? '' : `, thread ${thread}`;
  const title = `${printable(name)} (${printable(monitor)}${where}), ${rate} hits`;
  const classes = sizes.map(({ from, registrations }): Row => [
    `from ${inUnits(from)}`,
    count(registrations),
    '',
  ]);
  return [
    paint('bold', title),
    ...aligned([['', 'total', 'a second'], ...rows]),
    ...(classes.length === 0 ? [] : ['', ...aligned([['size', 'registered', ''], ...classes])]),
  ].join('\n');
}

type Row = readonly [name: string, value: string, rate: string];

/** Names to the left, numbers to the right. */
function aligned(rows: readonly Row[]): string[] {
  const [names, values, rates] = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => row[column].length)),
  );
  return rows.map(([name, value, rate]) =>
    `  ${name.padEnd(names)}  ${value.padStart(values)}  ${rate.padStart(rates)}`.trimEnd(),
  );
}
