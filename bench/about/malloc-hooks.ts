import type { About } from './about.js';
import {
  byMonitor,
  COLUMNS,
  METHOD,
  monitorsOf,
  type MonitorOrCopy,
  OPTIONS,
  staleReplies,
  TERMS,
  USAGE,
} from './server.js';
import { median, type Result } from '../result.js';

/** What another monitor has of a column, for one that ummunotify has: the median over the ways to use memory. */
function beside(result: Result, monitor: MonitorOrCopy, column: string): number {
  const of = (name: MonitorOrCopy): Map<string, number> =>
    new Map(
      result.rows
        .filter((row) => row['monitor'] === name)
        .map((row) => [String(row['memory']), Number(row[column])]),
    );
  const [own, other] = [of('ummunotify'), of(monitor)];
  return median(
    [...own].flatMap(([memory, value]) => (other.has(memory) ? [value / other.get(memory)!] : [])),
  );
}

export const mallocHooks = {
  question: 'Hooks in libc or the word of the kernel: how fast, at what cost, how many stale bytes?',
  answer: (result) => {
    const monitors = monitorsOf(result);
    const others = (['none', 'malloc-hooks', 'ucx'] as const).filter((monitor) => monitors.includes(monitor));
    if (!monitors.includes('ummunotify') || !monitors.includes('none')) return undefined;
    const times = (column: string): string =>
      others
        .map((monitor) => ({ monitor, ratio: beside(result, monitor, column) }))
        .filter(({ ratio }) => Number.isFinite(ratio))
        .map(({ monitor, ratio }) => `${ratio.toFixed(2)} times that of ${monitor}`)
        .join(', ');
    return (
      `${staleReplies(result)} In the middle of the ways to use memory, the rate of requests under ummunotify is ` +
      `${times('rate/none')}; the time in which the program gets and gives back memory is ${times('allocating')}.`
    );
  },
  method:
    `${METHOD} Each goes through all ways to use memory: malloc and free; Buffers, which the garbage collector ` +
    'frees; a mapping for each value, made and unmapped by libc or by raw system calls, as programs do that bring ' +
    'their own (Go, static programs, io_uring); and a pool whose free pages are dropped with MADV_DONTNEED, again by ' +
    'libc or raw.',
  terms: { ...TERMS, libc: 'by calls of its functions, which hooks see', raw: 'by system calls past libc' },
  columns: COLUMNS,
  figures: [
    byMonitor('Requests answered', 'requests/s', 'a second'),
    byMonitor('99% of the requests are answered in', 'p99', 'us'),
    byMonitor('Stale replies', 'stale/million', 'of a million'),
    byMonitor('Getting memory and giving it back', 'allocating', 'us', { scale: 'log' }),
  ],
  options: { ...OPTIONS, memory: { type: 'string', multiple: true } },
  usage: `${USAGE}, --memory WAY`,
} satisfies About;
