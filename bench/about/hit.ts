import { bars } from '../chart/bars.js';
import { lines } from '../chart/lines.js';
import { type About, JSON_OPTION } from './about.js';

/** Whose hits are timed. */
export const SUBJECTS = ['ucx', 'ucx inline', 'address', 'buffer', 'call of C', 'map', 'lru-cache'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** What each of them is. */
export const MEANINGS: Readonly<Record<Subject, string>> = {
  ucx: "libucs's registration cache, get + put",
  'ucx inline': 'its page table alone, in line, as a caller that holds its own lock may have it',
  address: 'acquireRange + release',
  buffer: 'acquire(Buffer) + release',
  'call of C': 'by address, with a call of a C function that does nothing in place of the mapped counter',
  map: 'a Map from the address to an entry, looked at after the mapped counter',
  'lru-cache': 'the same with the package lru-cache',
};

export const hit = {
  question: "What does a hit cost, beside UCX's registration cache and simpler ways to build one?",
  answer: ({ rows }) => {
    const row = rows.find((one) => one['what'] === 'hit' && one['ranges'] === 10_000);
    if (row === undefined || !('address/ucx' in row && 'buffer/ucx' in row)) return undefined;
    const part = (column: string): string => `${Math.round(100 * Number(row[column]))}%`;
    return (
      `With 10,000 ranges cached, a hit by address takes ${part('address/ucx')} of what one takes in UCX's cache, and ` +
      `a hit by Buffer ${part('buffer/ucx')}.`
    );
  },
  method:
    'Acquire and release of cached 16 KiB ranges in random order. The processes are alive at the same time and ' +
    'measured in turn. Nobody registers anything, and nobody watches; the counter is in a mapped page, as the one of ' +
    'the driver is.',
  terms: MEANINGS,
  columns: {
    what: 'key',
    ranges: 'key',
    ucx: 'reference',
    'ucx inline': 'reference',
    address: 'lower',
    'address/ucx': { lower: ['address', 'ucx'] },
    'address target': 'information',
    buffer: 'lower',
    'buffer/ucx': { lower: ['buffer', 'ucx'] },
    'buffer target': 'information',
    'call of C': 'reference',
    map: 'reference',
    'lru-cache': 'reference',
  },
  figures: [
    bars({
      title: 'A hit, with 10,000 ranges cached',
      of: (row) => row['what'] === 'hit' && row['ranges'] === 10_000,
      category: 'ranges',
      unit: 'ns',
      series: SUBJECTS,
    }),
    lines({
      title: 'A hit, by the number of ranges cached',
      of: (row) => row['what'] === 'hit',
      x: { column: 'ranges', scale: 'log' },
      y: { unit: 'ns', scale: 'log' },
      series: SUBJECTS,
    }),
  ],
  options: JSON_OPTION,
} satisfies About;
