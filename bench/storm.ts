/**
 * What does it cost when mappings change all the time? A part of the cached buffers is remapped, at once or one by one
 * between the uses of all: under each monitor, with and without the driver's generation words, and with nobody watching.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { PAGE_SIZE } from '../src/system/libc.js';
import { storm, WAYS } from './about/storm.js';
import { inTurn, startMeter, type Meter } from './meter.js';
import { onThisMachine } from './monitors.js';
import { openRegistrar, requirePinning } from './registrar.js';
import {
  here,
  measured,
  median,
  nameOfResult,
  type Result,
  rounded,
  type Row,
  save,
  table,
} from './result.js';
import { ratiosOnly } from './side-by-side.js';
import type { Storm } from './storm/process.js';

const PERCENT = [1, 10, 50, 100];
const place = here();
/** Fewer where registering takes a hundred times as long. */
const BUFFERS = place.where === 'host' ? 5_000 : 400;
const TURNS = place.where === 'host' ? { rounds: 7, warmUp: 1 } : { rounds: 3, warmUp: 1 };

const { values: options } = parseArgs({ options: storm.options });
const watchers = onThisMachine(['none', 'ummunotify', 'without generations', 'userfaultfd', 'malloc-hooks']);

requirePinning(BUFFERS * PAGE_SIZE);
const program = join(PROJECT, 'dist', 'bench', 'storm', 'process.js');
const meters: Meter<Storm>[] = [];
try {
  for (const watcher of watchers)
    meters.push(startMeter<Storm>(watcher, [process.execPath, program, watcher, String(BUFFERS)]));
  const rows: Row[] = [];
  for (const way of WAYS) {
    for (const percent of PERCENT) {
      const samples = await inTurn(meters, `${way.replace(' ', '-')} ${percent}`, TURNS);
      const [none, ...others] = [...samples].map(([{ name }, own]) => ({ monitor: name, samples: own }));
      for (const { monitor, samples: own } of others) {
        rows.push({ remapped: way, '%': percent, monitor, buffers: BUFFERS, ...cells(own, none.samples) });
      }
    }
  }
  const result: Result = {
    ...place,
    name: nameOfResult('storm', 'host'),
    monitor: watchers.join(', '),
    registrar: openRegistrar().kind,
    unit: 'us for each, median; the spread is half of the range between the quartiles, in % of the median',
    rows,
  };
  const path = save(result, storm.figures);
  console.log(options.json ? JSON.stringify(result) : render(result, path));
} finally {
  for (const meter of meters) meter.end();
}

function cells(own: readonly Storm[], none: readonly Storm[]): Row {
  const of = (part: keyof Storm, samples = own): number[] => samples.map((sample) => sample[part]);
  return {
    ...measured('use', of('use'), 2),
    ...measured('none', of('use', none), 2),
    'use/none': rounded(median(of('use')) / median(of('use', none)), 2),
    ...measured('remap', of('remap'), 2),
    drains: median(of('drains')),
    invalidations: median(of('invalidations')),
  };
}

function render(result: Result, path: string): string {
  const { where, kernel, registrar, rows } = result;
  return [
    `acquire + release while mappings change, ${BUFFERS.toLocaleString('en-US')} buffers of a page, us for each (${where}, Linux ${kernel};`,
    `median of ${TURNS.rounds}; registrar: ${registrar}); none: each use registers, as without a cache. Remapped: at once,`,
    'before all are used, or in between, one by one; each that was is deregistered and registered again, in that time.',
    'invalidations: all, when more changed than a helper has room to remember',
    ...ratiosOnly(result),
    '',
    table(rows),
    '',
    ...[storm.answer(result) ?? []].flat(),
    '',
    `saved as ${path}`,
  ].join('\n');
}
