import { type Cell, MONITORS } from '../coverage/cell.js';
import type { Row } from '../coverage/matrix.js';
import { svg } from '../coverage/svg.js';
import type { Row as ResultRow } from '../result.js';
import { type About, JSON_OPTION } from './about.js';

/** Best first; what does not apply is not compared. */
const CELLS: readonly Cell['cell'][] = ['fresh', 'refused', 'broken', 'hang', 'crash', 'wrong', 'stale'];

/** Older results may have others. */
const isKnown = (row: ResultRow): row is ResultRow & Row =>
  (MONITORS as readonly unknown[]).includes(row['monitor']) &&
  [...CELLS, 'n/a'].includes(String(row['cell']));

export const coverage = {
  question: 'Who serves stale bytes?',
  answer: ({ rows }) => {
    const monitors = [...new Set(rows.map(({ monitor }) => monitor))];
    const counts = monitors.map((monitor) => {
      const own = rows.filter((row) => row['monitor'] === monitor);
      return `${monitor} ${own.filter(({ cell }) => cell === 'stale').length} of ${own.length}`;
    });
    return `Stale were: ${counts.join(', ')}.`;
  },
  method:
    'A range is registered and sent over a real connection, its mapping is changed, and it is written, acquired and ' +
    'sent again, under each monitor; what the receiver gets is compared with what was sent. The page frames that the ' +
    'registration pins are a second witness.',
  terms: {
    fresh: 'the receiver got what was sent',
    stale: 'it got what was in the memory before the change',
    refused: 'no registration was to be had',
    pfn: 'whether the registration pins the page frames that are mapped',
    kept: 'no monitor: a registration is kept whatever happens, to show that the change can make it stale',
  },
  columns: {
    change: 'key',
    actor: 'key',
    monitor: 'key',
    cell: { words: CELLS },
    pfn: { words: ['same', 'other'] },
    errno: 'information',
    tries: 'information',
  },
  figures: [({ rows, kernel, where }) => svg(rows.filter(isKnown), `Linux ${kernel}, ${where}`)],
  options: {
    ...JSON_OPTION,
    only: { type: 'string', multiple: true },
    by: { type: 'string', multiple: true },
    monitor: { type: 'string', multiple: true },
  },
  usage: '--only PART-OF-A-CHANGE, --by ACTOR, --monitor MONITOR, each as often as you like',
} satisfies About;
