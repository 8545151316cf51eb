import { bars } from '../chart/bars.js';
import { numberText } from '../chart/series.js';
import type { Figure, Row } from '../result.js';
import { type About, JSON_OPTION } from './about.js';

/** Who watches what is cached; the others are compared with the first, under which nothing is. */
export const WATCHERS = ['none', 'ummunotify', 'userfaultfd', 'malloc-hooks'] as const;

/** So many registrations are shown: all of the monitors can watch as many, and not all. */
const [FEW, MANY] = [1_000, 1_000_000];

const RATIOS = WATCHERS.slice(1).map((watcher) => `${watcher}/none`);

const figure = (registrations: number): Figure =>
  bars({
    title: `With ${numberText(registrations)} registrations cached, times as long as with none`,
    of: (row) => row['registrations'] === registrations,
    category: 'what',
    unit: '×',
    series: RATIOS,
  });

export const overhead = {
  question: "What do an application's own doings cost it when it has registrations cached?",
  answer: ({ rows }) => {
    const worst = WATCHERS.slice(1).flatMap((watcher) => worstOf(rows, watcher) ?? []);
    return worst.length === 0
      ? undefined
      : `Beside a process that has nothing cached, the most that anything takes is: ${worst.join('; ')}.`;
  },
  method:
    'Processes with so many registrations of a page each do what applications do, in turn; nobody registers anything, ' +
    'so nothing is pinned. In one of them nothing is cached, and nobody watches.',
  terms: {
    none: 'no monitor, and nothing cached',
    'vm.max_map_count':
      'userfaultfd makes mappings of what it watches, more than the kernel allows a process then',
  },
  columns: {
    what: 'key',
    registrations: 'key',
    none: 'reference',
    ummunotify: 'lower',
    'ummunotify/none': { lower: ['ummunotify', 'none'] },
    userfaultfd: 'lower',
    'userfaultfd/none': { lower: ['userfaultfd', 'none'] },
    'malloc-hooks': 'lower',
    'malloc-hooks/none': { lower: ['malloc-hooks', 'none'] },
  },
  figures: [figure(MANY), figure(FEW)],
  options: JSON_OPTION,
} satisfies About;

/** With as many registrations as it can watch. */
function worstOf(rows: readonly Row[], watcher: string): string | undefined {
  const column = `${watcher}/none`;
  const own = rows.filter((row) => column in row);
  const most = Math.max(...own.map((row) => Number(row['registrations'])));
  const [worst] = own
    .filter((row) => row['registrations'] === most)
    .toSorted((a, b) => Number(b[column]) - Number(a[column]));
  return (worst as Row | undefined) === undefined
    ? undefined
    : `under ${watcher} with ${numberText(most)}, ${worst[column]} times (${worst['what']})`;
}
