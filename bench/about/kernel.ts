import { numberText } from '../chart/series.js';
import { lines } from '../chart/lines.js';
import { type About, JSON_OPTION } from './about.js';

/** The calls that are timed. */
export const CALLS = ['munmap', 'register', 'unregister', 'hit', 'read'] as const;

export const kernel = {
  question: "What do the driver's calls cost, by the number of ranges that a process watches?",
  answer: ({ rows }) => {
    const [one, most] = [rows.at(0), rows.at(-1)];
    if (one === undefined || most === undefined || one === most) return undefined;
    const times = (call: (typeof CALLS)[number]): string =>
      (Number(most[call]) / Number(one[call])).toFixed(1);
    return (
      `With ${numberText(Number(most['ranges']))} ranges watched instead of ${numberText(Number(one['ranges']))}, ` +
      `unmapping a page that nobody watches takes ${times('munmap')} times as long, registering a range ` +
      `${times('register')} times and unregistering one ${times('unregister')} times as long.`
    );
  },
  method:
    'A plain C client of the driver, without the cache. Processes that watch different numbers of ranges are alive at ' +
    'the same time and measured in turn.',
  terms: {
    munmap: 'unmapping a page that nobody watches',
    register: 'watching a range (UMMUNOTIFY_REGISTER_REGION)',
    unregister: 'watching it no more',
    hit: 'madvise that drops a page that is watched',
    read: 'taking in the event of that',
  },
  columns: {
    ranges: 'key',
    munmap: 'lower',
    register: 'lower',
    unregister: 'lower',
    hit: 'lower',
    read: 'lower',
  },
  figures: [
    lines({
      title: "The driver's calls, by the number of ranges watched",
      x: { column: 'ranges', scale: 'log' },
      y: { unit: 'ns', scale: 'log' },
      series: CALLS,
    }),
  ],
  options: JSON_OPTION,
} satisfies About;
