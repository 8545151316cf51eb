/**
 * What does a miss cost, by size, beside registering and deregistering without a cache: to register and insert, and to
 * evict and deregister? And what of that is the cache itself? Where there is no device, something else pins the memory.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { GROWING, miss, STEPS, TARGET } from './about/miss.js';
import { inTurn, startMeter, type Meter, type Turns } from './meter.js';
import type { Miss } from './miss/process.js';
import { onThisMachine } from './monitors.js';
import { openRegistrar, requirePinning } from './registrar.js';
import { here, measured, median, nameOfResult, type Result, type Row, save, table } from './result.js';
import { comparison, ratiosOnly, sideBySide } from './side-by-side.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Each, how many of them are registered at a time, and how often. */
const SIZES = [
  { bytes: 4 * KIB, count: 256, rounds: 9 },
  { bytes: 64 * KIB, count: 128, rounds: 9 },
  { bytes: MIB, count: 64, rounds: 9 },
  { bytes: 16 * MIB, count: 8, rounds: 7 },
  { bytes: 256 * MIB, count: 2, rounds: 5 },
  { bytes: 1024 * MIB, count: 1, rounds: 5 },
];
/** Of the cache alone, which is quick. */
const REGISTRATIONS = 5000;
const place = here();
/** Where it is emulated there are fewer rounds, and least of so much memory, which takes tens of seconds each. */
const LARGE = 64 * MIB;
function turnsFor(bytes: number, rounds: number): Turns {
  if (place.where === 'host') return { rounds, warmUp: 1 };
  return bytes < LARGE ? { rounds: Math.ceil(rounds / 2), warmUp: 1 } : { rounds: 2, warmUp: 0 };
}

const { values: options } = parseArgs({ options: miss.options });
const watchers = onThisMachine(
  place.where === 'host' ? ['none', 'ummunotify', 'userfaultfd', 'malloc-hooks'] : ['none', 'ummunotify'],
);
type Subject = 'cache' | 'alone' | (typeof watchers)[number];

requirePinning(Math.max(...SIZES.map(({ bytes, count }) => bytes * count)));
const start = (subject: Subject): Meter<Miss> =>
  startMeter(subject, [process.execPath, join(PROJECT, 'dist', 'bench', 'miss', 'process.js'), subject]);
const meters: Meter<Miss>[] = [];
try {
  const others = (['alone', ...watchers] as const).map(start);
  meters.push(...others);
  const all: Map<Meter<Miss>, Miss[]>[] = [];
  for (const { bytes, count, rounds } of SIZES)
    all.push(await inTurn(others, `measure ${count} ${bytes}`, turnsFor(bytes, rounds)));
  // Which has no ratio to anything: on the host alone.
  const own = place.where === 'host' ? await measureCache() : [];
  const rowsOf = (step: keyof typeof STEPS): Row[] =>
    SIZES.map(({ bytes }, i) => row(step, bytes, all[i], own.at(i)));
  const [made, ended] = [rowsOf('make'), rowsOf('end')];
  const result: Result = {
    ...place,
    name: nameOfResult('miss', 'host'),
    monitor: watchers.join(', '),
    registrar: openRegistrar().kind,
    unit: 'us, of CPU time for the cache itself; median, the spread is half of the range between the quartiles, in % of the median',
    rows: [...made, ...ended],
  };
  const path = save(result, miss.figures);
  console.log(options.json ? JSON.stringify(result) : render(result, made, ended, path));
} finally {
  for (const meter of meters) meter.end();
}

/** The cache alone, with nobody who registers or watches. @returns the samples of each size */
async function measureCache(): Promise<Miss[][]> {
  const cache = start('cache');
  meters.push(cache);
  const all: Miss[][] = [];
  for (const { bytes, rounds } of SIZES) {
    const samples = await inTurn([cache], `measure ${REGISTRATIONS} ${bytes}`, turnsFor(bytes, rounds));
    all.push(samples.get(cache)!);
  }
  return all;
}

function row(
  step: keyof typeof STEPS,
  bytes: number,
  samples: ReadonlyMap<Meter<Miss>, Miss[]>,
  own: readonly Miss[] | undefined,
): Row {
  const of = (part: keyof Miss): Map<string, number[]> =>
    new Map([...samples].map(([{ name }, all]) => [name, all.map((sample) => sample[part])]));
  return {
    what: STEPS[step],
    KiB: bytes / KIB,
    ...(own === undefined ? {} : ownCells(own.map((sample) => sample[step]))),
    ...(own !== undefined && step === 'make'
      ? measured(
          GROWING,
          own.map(({ growing }) => growing),
          2,
        )
      : {}),
    ...sideBySide(of(step), 1),
    ...(step === 'make' ? measured('prefault', of('prefault').get('alone')!, 1) : {}),
  };
}

function ownCells(samples: readonly number[]): Row {
  return {
    ...measured('cache itself', samples, 2),
    target: TARGET,
    met: median(samples) < TARGET ? 'yes' : 'no',
  };
}

function render(result: Result, made: readonly Row[], ended: readonly Row[], path: string): string {
  const { where, kernel, registrar } = result;
  const subjects = ['alone', ...watchers];
  const ours = where === 'host' ? ['cache itself', 'target', 'met'] : [];
  return [
    `a miss by size, us (${where}, Linux ${kernel}; medians; registrar: ${registrar})`,
    "alone: without a cache, the registrar's call and nothing else; the others: all that a cache does for a miss under",
    'that monitor, watching included; none keeps nothing. prefault: to ask for pages that are there, which is left out.',
    ...(where === 'host'
      ? [
          'cache itself: beyond the calls of registrar and monitor, us of CPU time; target: below that',
          `${GROWING}: the same in a cache that never held so much before`,
        ]
      : []),
    ...ratiosOnly(result),
    '',
    STEPS.make,
    table(
      comparison(
        result,
        made,
        ['KiB'],
        [...subjects, 'prefault', ...ours, ...(where === 'host' ? [GROWING] : [])],
      ),
    ),
    '',
    STEPS.end,
    table(comparison(result, ended, ['KiB'], [...subjects, ...ours])),
    '',
    ...[miss.answer(result) ?? []].flat(),
    '',
    `saved as ${path}`,
  ].join('\n');
}
