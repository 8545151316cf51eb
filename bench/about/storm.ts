import { lines } from '../chart/lines.js';
import type { Figure } from '../result.js';
import { type About, JSON_OPTION } from './about.js';

/** When the mappings change: all before the uses, or one by one between them. */
export const WAYS = ['at once', 'in between'] as const;

const figure = (way: (typeof WAYS)[number]): Figure =>
  lines({
    title: `A use, times as long as registering each time: remapped ${way}`,
    of: ({ remapped }) => remapped === way,
    x: { column: '%', scale: 'log', label: (percent) => `${percent}% remapped` },
    y: { unit: '×', scale: 'log' },
    mark: { value: 1, label: 'none' },
    series: { by: 'monitor', value: 'use/none' },
  });

export const storm = {
  question: 'What does a use cost while mappings change all the time?',
  answer: ({ rows }) => {
    const monitors = [...new Set(rows.map(({ monitor }) => monitor))];
    const times = (monitor: unknown, percent: number): unknown =>
      rows.find((row) => row['monitor'] === monitor && row['%'] === percent && row['remapped'] === WAYS[1])?.[
        'use/none'
      ];
    const all = monitors.map((monitor) => [monitor, times(monitor, 1), times(monitor, 100)] as const);
    if (all.length === 0 || all.flat().includes(undefined)) return undefined;
    const texts = all.map(([monitor, few, most]) => `${String(monitor)} ${String(few)} and ${String(most)}`);
    return (
      'Beside registering for each use, a use takes, with 1% and with 100% of the buffers remapped between the uses, ' +
      `times as long: ${texts.join(', ')}.`
    );
  },
  method:
    'A part of the cached buffers, of a page each, is unmapped and mapped again: at once before all are used, or one by ' +
    'one between the uses. The time of a use has everything that follows from that: draining, deregistering and ' +
    'registering again. Processes under each monitor are measured in turn. Where there is no device, io_uring pins ' +
    'the memory in its place, at less than a card takes.',
  terms: {
    use: 'acquire + release',
    none: 'a use without a monitor, when each registers',
    remap: 'to unmap a buffer and map it again, under the monitor',
    'without generations': 'ummunotify without the words that say which range has changed',
    invalidations: 'all, when more has changed than a helper has room to remember',
  },
  columns: {
    remapped: 'key',
    '%': 'key',
    monitor: 'key',
    buffers: 'key',
    use: 'lower',
    none: 'lower',
    'use/none': { lower: ['use', 'none'] },
    remap: 'lower',
    drains: 'information',
    invalidations: 'information',
  },
  figures: WAYS.map(figure),
  options: JSON_OPTION,
} satisfies About;
