/**
 * What does a miss cost, by size, beside registering and deregistering without a cache: to register and insert, and to
 * evict and deregister? And what of that is the cache itself? Where there is no device, something else pins the memory.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { compare, comparison, ratiosOnly } from './compared.js';
import { inTurn, startMeter, type Meter, type Turns } from './meter.js';
import type { Miss } from './miss/process.js';
import { onThisMachine } from './monitors.js';
import { openRegistrar, requirePinning } from './registrar.js';
import { cells, here, placed, save, table, type Result } from './result.js';

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
/** Microseconds, of the cache alone, to make one and to end one. */
const TARGET = 3;
const place = here();
/** Of rounds of so much memory, which take seconds where they are emulated, there are fewer there. */
const LARGE = 64 * MIB;
const turnsFor = (bytes: number, rounds: number): Turns =>
  place.where === 'host' || bytes < LARGE ? { rounds, warmUp: 1 } : { rounds: 3, warmUp: 0 };

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
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
  const own: Result['rows'] = [];
  const made: Result['rows'] = [];
  const ended: Result['rows'] = [];
  for (const { bytes, count, rounds } of SIZES) {
    const turns = turnsFor(bytes, rounds);
    const measured = await inTurn(others, `measure ${count} ${bytes}`, turns);
    made.push(row('register + insert', 'make', bytes, measured));
    ended.push(row('evict + deregister', 'end', bytes, measured));
  }
  // Which has no ratio to anything: on the host alone.
  if (place.where === 'host') own.push(...(await measureCache()));
  const result: Result = {
    ...place,
    name: placed('miss'),
    monitor: watchers.join(', '),
    registrar: openRegistrar().kind,
    unit: 'us, of CPU time for the cache itself; median, the spread is half of the range between the quartiles, in % of the median',
    rows: [...own, ...made, ...ended],
  };
  const path = save(result);
  console.log(options.json ? JSON.stringify(result) : render(result, own, made, ended, path));
} finally {
  for (const meter of meters) meter.end();
}

/** The cache alone: with nobody who registers or watches. */
async function measureCache(): Promise<Result['rows']> {
  const cache = start('cache');
  meters.push(cache);
  const rows: Result['rows'] = [];
  for (const { bytes, rounds } of SIZES) {
    const samples = await inTurn([cache], `measure ${REGISTRATIONS} ${bytes}`, turnsFor(bytes, rounds));
    rows.push(ownRow(bytes, samples.get(cache)!));
  }
  return rows;
}

function ownRow(bytes: number, samples: readonly Miss[]): Result['rows'][number] {
  return {
    what: 'the cache itself',
    KiB: bytes / KIB,
    ...cells(
      'insert',
      samples.map(({ make }) => make),
      2,
    ),
    ...cells(
      'evict',
      samples.map(({ end }) => end),
      2,
    ),
    target: TARGET,
  };
}

function row(
  what: string,
  step: 'make' | 'end',
  bytes: number,
  measured: ReadonlyMap<Meter<Miss>, Miss[]>,
): Result['rows'][number] {
  const all = [...measured];
  const of = (part: keyof Miss) =>
    all.map(([{ name }, samples]) => [name, samples.map((sample) => sample[part])] as const);
  return {
    what,
    KiB: bytes / KIB,
    ...compare(new Map(of(step)), 1),
    ...(step === 'make' ? cells('prefault', new Map(of('prefault')).get('alone')!, 1) : {}),
  };
}

function render(
  result: Result,
  own: Result['rows'],
  made: Result['rows'],
  ended: Result['rows'],
  path: string,
): string {
  const { where, kernel, registrar } = result;
  const subjects = ['alone', ...watchers];
  return [
    `a miss by size, us (${where}, Linux ${kernel}; medians; registrar: ${registrar})`,
    "alone: without a cache, the registrar's call and nothing else; the others: all that a cache does for a miss under",
    'that monitor, prefaulting and watching included; none keeps nothing. prefault: its part, of pages that are there.',
    ...ratiosOnly(result),
    '',
    'register + insert',
    table(comparison(result, made, ['KiB'], [...subjects, 'prefault'])),
    '',
    'evict + deregister',
    table(comparison(result, ended, ['KiB'], subjects)),
    '',
    ...renderOwn(own),
    `saved as ${path}`,
  ].join('\n');
}

function renderOwn(own: Result['rows']): string[] {
  if (own.length === 0) return [];
  const rows = own.map(({ KiB, insert, evict, ...rest }) => ({
    KiB,
    insert: `${insert} ±${rest['insert ±%']}%`,
    evict: `${evict} ±${rest['evict ±%']}%`,
  }));
  const title = `the cache itself, beyond the calls of registrar and monitor, us of CPU time (at most ${TARGET})`;
  return [title, table(rows), ''];
}
