import { bars, type Bars } from '../chart/bars.js';
import { type Monitor, MONITORS } from '../coverage/cell.js';
import type { Figure, Result, Row } from '../result.js';
import { type About, type Column, JSON_OPTION } from './about.js';

/** Who watches the memory of the server; or it copies all that it sends. */
export type MonitorOrCopy = Monitor | 'copy';
/** First what the others are compared with. */
export const ALL: readonly MonitorOrCopy[] = [
  'none',
  ...MONITORS.filter((monitor) => monitor !== 'none'),
  'copy',
];

/** How the server gets memory for values. */
export const REALISTIC = 'malloc + Buffers';
export const WAYS = [
  'malloc',
  'Buffers',
  'mmap, libc',
  'mmap, raw',
  'MADV_DONTNEED, libc',
  'MADV_DONTNEED, raw',
] as const;
export type MemoryName = typeof REALISTIC | (typeof WAYS)[number];

export const COLUMNS: Readonly<Record<string, Column>> = {
  memory: 'key',
  monitor: 'key',
  'requests/s': 'higher',
  'rate/none': 'higher',
  p50: 'lower',
  p99: 'lower',
  // A single bad moment of the machine decides these.
  'p99.9': 'information',
  max: 'information',
  'hits %': 'higher',
  allocating: 'lower',
  'allocating/none': 'lower',
  replies: 'information',
  stale: 'lower',
  'stale/million': 'lower',
};

export const TERMS: Readonly<Record<string, string>> = {
  none: 'our cache without a monitor: each reply is registered anew',
  'malloc-hooks': "our cache with the hooks of UCX's libucm",
  ucx: "UCX's own registration cache, with the same hooks",
  kept: 'our cache, and a registration is kept whatever happens: as fast as any monitor could be, and wrong',
  copy: 'no cache: everything is copied into memory that is registered once',
  p99: 'us in which 99% of the requests were answered, median of the rounds, as p50; p99.9 and max are of all rounds',
  'rate/none': 'requests/s as a multiple of those without a monitor in the same round',
  'hits %': 'of the replies, those for which nothing was registered',
  allocating:
    'us that the program takes, in the middle, to get memory for a new value and to give back that of the old one',
  'allocating/none': 'the same as a multiple of what it takes without a monitor in the same round',
  stale: 'replies with bytes that were in the memory before',
};

export const METHOD =
  'A key-value server of one process sends values straight from where they are, by RDMA write, and replaces values by ' +
  'new ones in new memory: keys are as popular as Zipf has it, sizes from 1 KiB to 256 KiB. One client waits for each ' +
  'reply and compares it with the value that it should be. The processes, one for each monitor, are alive at the same ' +
  'time and get the same requests in turn, some of them beforehand, which are not measured.';

export const OPTIONS = {
  ...JSON_OPTION,
  monitor: { type: 'string', multiple: true },
  rounds: { type: 'string' },
  requests: { type: 'string' },
  puts: { type: 'string' },
  seed: { type: 'string' },
} as const;

export const USAGE = '--monitor MONITOR (several times), --rounds N, --requests N, --puts PERCENT, --seed N';

/** Bars for each monitor, in groups for each way to use memory. */
export const byMonitor = (title: string, value: string, unit: string, more: Partial<Bars> = {}): Figure =>
  bars({ title, category: 'memory', unit, series: { by: 'monitor', value }, ...more });

/** The sum of a column over the rows of a monitor. */
export const total = ({ rows }: Result, monitor: MonitorOrCopy, column: string): number =>
  rows.reduce((sum, row) => sum + (row['monitor'] === monitor ? Number(row[column]) : 0), 0);

/** Those of the monitors that the result has. */
export const monitorsOf = ({ rows }: Result): MonitorOrCopy[] =>
  ALL.filter((monitor) => rows.some((row) => row['monitor'] === monitor));

/** 'ummunotify 0, ucx 12 of 9,000 replies' */
export function staleReplies(result: Result): string {
  const [first, ...rest] = monitorsOf(result);
  const replies = total(result, first, 'replies').toLocaleString('en-US');
  const counts = [first, ...rest].map((monitor) => `${monitor} ${total(result, monitor, 'stale')}`);
  return `Of ${replies} replies each, stale were: ${counts.join(', ')}.`;
}

const rowOf = ({ rows }: Result, monitor: MonitorOrCopy): Row | undefined =>
  rows.find((row) => row['monitor'] === monitor);

export const server = {
  question: 'What does a key-value server gain from a cache of registrations, by who watches its memory?',
  answer: (result) => {
    const [none, own] = [rowOf(result, 'none'), rowOf(result, 'ummunotify')];
    if (none === undefined || own === undefined) return undefined;
    const part = (column: string): string => (Number(own[column]) / Number(none[column])).toFixed(2);
    const others = monitorsOf(result).filter((monitor) => monitor !== 'none' && monitor !== 'ummunotify');
    const rates = others.map((monitor) => `${monitor} ${String(rowOf(result, monitor)!['rate/none'])}`);
    return (
      `With ummunotify it answers ${String(own['rate/none'])} times as many requests as without a cache` +
      `${rates.length > 0 ? ` (${rates.join(', ')} times)` : ''}, half of them in ${part('p50')} times and 99% of them ` +
      `in ${part('p99')} times the time. ${staleReplies(result)}`
    );
  },
  method: `${METHOD} Half of the values are in memory from malloc, and half in Buffers, which the garbage collector frees.`,
  terms: TERMS,
  columns: COLUMNS,
  figures: [
    byMonitor('Requests answered', 'requests/s', 'a second'),
    byMonitor('99% of the requests are answered in', 'p99', 'us'),
    byMonitor('Stale replies', 'stale/million', 'of a million'),
  ],
  options: OPTIONS,
  usage: USAGE,
} satisfies About;
