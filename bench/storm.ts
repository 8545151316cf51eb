/**
 * What does it cost when mappings change all the time? A part of the cached buffers is remapped, at once or one by one
 * between the uses of all: under each monitor, with and without the driver's generation words, and with nobody watching.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { PAGE_SIZE } from '../src/system/libc.js';
import { compare, comparison, ratiosOnly } from './compared.js';
import { inTurn, startMeter, type Meter } from './meter.js';
import { onThisMachine } from './monitors.js';
import { openRegistrar, requirePinning } from './registrar.js';
import { here, median, placed, save, table, type Result } from './result.js';
import type { Storm } from './storm/process.js';

const WAYS = ['at-once', 'in-between'] as const;
const PERCENT = [1, 10, 50, 100];
const place = here();
/** Fewer where registering takes a hundred times as long. */
const BUFFERS = place.where === 'host' ? 10_000 : 1_000;
const TURNS = place.where === 'host' ? { rounds: 7, warmUp: 1 } : { rounds: 3, warmUp: 1 };

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const watchers = onThisMachine(['none', 'ummunotify', 'without generations', 'userfaultfd', 'malloc-hooks']);

requirePinning(BUFFERS * PAGE_SIZE);
const program = join(PROJECT, 'dist', 'bench', 'storm', 'process.js');
const meters: Meter<Storm>[] = [];
try {
  for (const watcher of watchers)
    meters.push(startMeter<Storm>(watcher, [process.execPath, program, watcher, String(BUFFERS)]));
  const uses: Result['rows'] = [];
  const counts: Result['rows'] = [];
  for (const way of WAYS) {
    for (const percent of PERCENT) {
      const measured = await inTurn(meters, `${way} ${percent}`, TURNS);
      const keys = { remapped: way.replace('-', ' '), '%': percent, buffers: BUFFERS };
      const of = (part: keyof Storm) =>
        new Map([...measured].map(([{ name }, samples]) => [name, samples.map((sample) => sample[part])]));
      uses.push({ what: 'use', ...keys, ...compare(of('use'), 2) });
      counts.push({ what: 'drains', ...keys, ...medians(of('drains')) });
      counts.push({ what: 'invalidations', ...keys, ...medians(of('invalidations')) });
    }
  }
  const result: Result = {
    ...place,
    name: placed('storm'),
    monitor: watchers.join(', '),
    registrar: openRegistrar().kind,
    unit: 'us for each use, median; the spread is half of the range between the quartiles, in % of the median',
    rows: [...uses, ...counts],
  };
  const path = save(result);
  console.log(options.json ? JSON.stringify(result) : render(result, uses, counts, path));
} finally {
  for (const meter of meters) meter.end();
}

function medians(samples: ReadonlyMap<string, number[]>): Result['rows'][number] {
  return Object.fromEntries([...samples].map(([name, numbers]) => [name, median(numbers)]));
}

function render(result: Result, uses: Result['rows'], counts: Result['rows'], path: string): string {
  const { where, kernel, registrar } = result;
  const count = BUFFERS.toLocaleString('en-US');
  const ofKind = (kind: string): Result['rows'] =>
    counts
      .filter(({ what }) => what === kind)
      .map(({ remapped, '%': percent, ...row }) => ({
        remapped,
        '%': percent,
        ...Object.fromEntries(watchers.map((watcher) => [watcher, row[watcher]])),
      }));
  return [
    `acquire + release while mappings change, ${count} buffers of a page, us for each use (${where}, Linux ${kernel};`,
    `median of ${TURNS.rounds}; registrar: ${registrar}); none: each use registers, as without a cache. Remapped: at once,`,
    'before all are used, or in between, one by one; each that was is deregistered and registered again, in that time.',
    ...ratiosOnly(result),
    '',
    table(comparison(result, uses, ['remapped', '%'], watchers)),
    '',
    'drains',
    table(ofKind('drains')),
    '',
    'registrations that were invalidated: all, when more changed than a helper has room to remember',
    table(ofKind('invalidations')),
    '',
    `saved as ${path}`,
  ].join('\n');
}
