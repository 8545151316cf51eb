import { styleText } from 'node:util';

/** How the sender found the registration for its buffer. */
export type Strategy = 'kept for ever' | 'rdma-regcache';

export interface Row {
  /** What happened to the buffer between the two sends. */
  change: string;
  strategy: Strategy;
  /** Beginning of what the buffer held when it was sent again. */
  sent: string;
  /** Beginning of what the receiver got. */
  arrived: string;
  /** Old bytes from pages that nobody can see any more, or what was sent. */
  verdict: 'STALE' | 'fresh' | 'WRONG';
}

export interface Report {
  schema: 1;
  name: 'stale-registration';
  kernel: string;
  device: string;
  messageBytes: number;
  messages: number;
  rows: Row[];
  cache: {
    hits: number;
    misses: number;
    /** Registrations given up because their mapping changed. */
    evictions: number;
    /** Hits times what registering and deregistering cost on average, in microseconds. */
    microsecondsSaved: number;
  };
}

const COLUMNS: readonly [keyof Row, string][] = [
  ['change', 'the buffer was'],
  ['strategy', 'registration'],
  ['sent', 'sent again'],
  ['arrived', 'arrived'],
  ['verdict', 'verdict'],
];

/** The report as an aligned table for people. */
export function render(report: Report): string {
  const widths = COLUMNS.map(([key, title]) =>
    Math.max(title.length, ...report.rows.map((row) => row[key].length)),
  );
  const line = (cells: string[]) => cells.join('   ').trimEnd();
  const head = line(COLUMNS.map(([, title], i) => title.padEnd(widths[i])));
  const body = report.rows.map((row) =>
    line(COLUMNS.map(([key], i) => paint(key, row[key].padEnd(widths[i])))),
  );
  const { hits, misses, evictions, microsecondsSaved } = report.cache;
  return [
    `two processes, ${report.messages} messages of ${report.messageBytes / 1024} KiB over ${report.device}, Linux ${report.kernel}`,
    '',
    head,
    '-'.repeat(head.length),
    ...body,
    '',
    `the cache: ${hits} hits, ${misses} misses, ${evictions} evictions, ${Math.round(microsecondsSaved)} us saved`,
  ].join('\n');
}

function paint(key: keyof Row, text: string): string {
  if (key !== 'verdict' || !process.stdout.isTTY) return text;
  return styleText(text.startsWith('fresh') ? 'green' : 'red', text);
}
