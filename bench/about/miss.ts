import { lines } from '../chart/lines.js';
import { sizeText } from '../chart/size.js';
import type { Result, Row } from '../result.js';
import { type About, JSON_OPTION } from './about.js';

/** Microseconds that the cache itself may take of a miss, to insert what was registered and to evict it. */
export const TARGET = 3;

/** The two halves of a miss that are timed. */
export const STEPS = { make: 'register + insert', end: 'evict + deregister' } as const;

/** The column of what the cache itself takes while the memory of its tables grows. */
export const GROWING = 'while it grows';

const SUBJECTS = ['alone', 'prefault', 'none', 'ummunotify', 'userfaultfd', 'malloc-hooks'] as const;

const x = { column: 'KiB', scale: 'log', label: sizeText } as const;
const y = { unit: 'us', scale: 'log' } as const;
const isStep =
  (step: string) =>
  ({ what }: Row): boolean =>
    what === step;

export const miss = {
  question: 'What does a miss cost, by size, and what of that is the cache itself?',
  answer: (result) => ownPart(result) ?? ratios(result),
  method:
    "Registrations are made and ended through the cache under each monitor, and by the registrar's calls alone, in " +
    'turn, on memory in pages of 4 KiB that are in place. Where there is no device, io_uring pins the memory in its ' +
    'place, at less than a card takes. The cache itself: with stand-ins that neither register nor watch, in CPU time.',
  terms: {
    alone: "the registrar's call, and nothing else",
    prefault:
      'having pages put in place that are there already, which the cache leaves out at a first attempt',
    none: 'no monitor: nothing is kept',
    'cache itself':
      'what is beyond the calls of registrar and monitor; of memory a page off from a multiple of its size, which takes longest',
    [GROWING]:
      'the cache itself, where it never held so much before and the memory of its tables has to grow; given back when it is empty',
    target: `us that the cache itself may take, at any size`,
  },
  columns: {
    what: 'key',
    KiB: 'key',
    alone: 'reference',
    none: 'lower',
    'none/alone': { lower: ['none', 'alone'] },
    ummunotify: 'lower',
    'ummunotify/alone': { lower: ['ummunotify', 'alone'] },
    userfaultfd: 'lower',
    'userfaultfd/alone': { lower: ['userfaultfd', 'alone'] },
    'malloc-hooks': 'lower',
    'malloc-hooks/alone': { lower: ['malloc-hooks', 'alone'] },
    prefault: 'lower',
    'cache itself': 'lower',
    [GROWING]: 'lower',
    target: 'information',
    met: { words: ['yes', 'no'] },
  },
  figures: [
    lines({
      title: 'The cache itself, of a miss',
      x,
      y,
      mark: { value: TARGET, label: 'target' },
      series: { by: 'what', value: 'cache itself' },
    }),
    lines({ title: 'Register + insert', of: isStep(STEPS.make), x, y, series: SUBJECTS }),
    lines({ title: 'Evict + deregister', of: isStep(STEPS.end), x, y, series: SUBJECTS }),
  ],
  options: JSON_OPTION,
} satisfies About;

function ownPart({ rows }: Result): string | undefined {
  const own = rows.filter((row) => 'cache itself' in row);
  if (own.length === 0) return undefined;
  const times = own.map((row) => Number(row['cache itself']));
  const missed = own.filter(({ met }) => met === 'no');
  const texts = Object.values(STEPS).flatMap((step) => {
    const sizes = missed
      .filter(isStep(step))
      .map((row) => `${row['cache itself']} us at ${sizeText(Number(row['KiB']))}`);
    return sizes.length === 0 ? [] : `${step}: ${sizes.join(', ')}`;
  });
  return (
    `The cache itself takes ${Math.min(...times)} to ${Math.max(...times)} us of each half of a miss; ` +
    (missed.length === 0
      ? `the target of ${TARGET} us is met at all sizes.`
      : `the target of ${TARGET} us is missed by ${missed.length} of ${own.length} (${texts.join('; ')}).`)
  );
}

function ratios({ rows }: Result): string | undefined {
  const made = rows.filter((row) => row['what'] === STEPS.make && 'ummunotify/alone' in row);
  const [least, most] = [made.at(0), made.at(-1)];
  if (least === undefined || most === undefined || least === most) return undefined;
  const times = (row: Row): string => `${row['ummunotify/alone']} times (${sizeText(Number(row['KiB']))})`;
  return `Under ummunotify, to register and insert takes ${times(least)} to ${times(most)} as long as to register alone.`;
}
