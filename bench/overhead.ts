/**
 * What do an application's own doings cost it when it has registrations cached: unmapping, mapping, allocating, starting
 * other programs? Under each monitor, in processes that are alive at the same time; nobody registers anything.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { overhead, WATCHERS } from './about/overhead.js';
import { nullRegistrar } from './hit/null.js';
import { inTurn, startMeter, type Meter } from './meter.js';
import { onThisMachine, type Watcher } from './monitors.js';
import { here, nameOfResult, save, table, type Result, type Row } from './result.js';
import { comparison, ratiosOnly, sideBySide } from './side-by-side.js';

const MAX_MAP_COUNT = Number(readFileSync('/proc/sys/vm/max_map_count', 'latin1'));

/** What is done, how often in a round, and the command that does it. */
const DOINGS = [
  { what: 'mmap, touch, munmap 64 KiB', command: 'map', count: 500 },
  { what: 'munmap a registered page', command: 'unmap', count: 200 },
  { what: 'malloc + free, 128 B to 256 KiB', command: 'malloc', count: 5000 },
  { what: 'Buffer.alloc 64 KiB', command: 'buffer', count: 1000 },
  { what: "spawnSync('/bin/true')", command: 'spawn', count: 5 },
  { what: 'fork', command: 'fork', count: 5 },
];

const { values: options } = parseArgs({ options: overhead.options });

const place = here();
const TURNS = place.where === 'host' ? { rounds: 7, warmUp: 2 } : { rounds: 3, warmUp: 1 };
/** Each takes a process, and caching so many takes its time where it is emulated. */
const NUMBERS = place.where === 'host' ? [1, 1_000, 100_000, 1_000_000] : [1, 1_000, 1_000_000];
// The driver is measured in the virtual machine only where there is none here, and then beside what it is compared with.
const watchers = onThisMachine(place.where === 'host' ? WATCHERS : ['none', 'ummunotify']);

interface Application extends Meter<number> {
  readonly watcher: Watcher;
  readonly registrations: number;
}

const applications: Application[] = [];
try {
  // One that has nothing cached, whatever the others have.
  await start('none', 1);
  for (const registrations of NUMBERS) {
    for (const watcher of watchers.slice(1)) await start(watcher, registrations);
  }
  const rows: Row[] = [];
  for (const { what, command, count } of DOINGS) {
    const samples = await inTurn(applications, `${command} ${count}`, TURNS);
    for (const registrations of NUMBERS) rows.push(row(what, registrations, samples));
  }
  const result: Result = {
    ...place,
    name: nameOfResult('overhead', 'host'),
    monitor: watchers.join(', '),
    registrar: nullRegistrar.kind,
    unit: 'us, median; the spread is half of the range between the quartiles, in % of the median',
    rows,
  };
  const path = save(result, overhead.figures);
  console.log(options.json ? JSON.stringify(result) : render(result, path));
} finally {
  for (const application of applications) application.end();
}

async function start(watcher: Watcher, registrations: number): Promise<void> {
  if (!hasRoom(watcher, registrations)) return;
  const program = join(PROJECT, 'dist', 'bench', 'overhead', 'application.js');
  const name = `${watcher} with ${registrations} registrations`;
  const meter = startMeter<number>(name, [process.execPath, program, watcher, String(registrations)]);
  applications.push({ ...meter, watcher, registrations });
  process.stderr.write(`Caching, ${name} ...\n`);
  // Waits until it has them.
  await meter.ask('cached');
}

/** Each range that userfaultfd watches is a mapping, and what is between two is another one. */
function hasRoom(watcher: Watcher, registrations: number): boolean {
  return watcher !== 'userfaultfd' || 2 * registrations < MAX_MAP_COUNT / 2;
}

function row(what: string, registrations: number, samples: ReadonlyMap<Application, number[]>): Row {
  const own = [...samples].filter(
    ([{ watcher, registrations: cached }]) => watcher === 'none' || cached === registrations,
  );
  const all = {
    what,
    registrations,
    ...sideBySide(new Map(own.map(([{ watcher }, numbers]) => [watcher, numbers])), 2),
  };
  const missing = watchers.filter((watcher) => !(watcher in all));
  return { ...all, ...Object.fromEntries(missing.map((watcher) => [watcher, 'vm.max_map_count'])) };
}

function render(result: Result, path: string): string {
  const { where, kernel, registrar, rows } = result;
  return [
    `what an application's own doings cost it, by the number of registrations cached, us (${where}, Linux ${kernel};`,
    `median of ${TURNS.rounds}; registrar: ${registrar}, so nothing is pinned); none: a process that has nothing cached, and nobody watches`,
    ...ratiosOnly(result),
    '',
    table(comparison(result, rows, ['what', 'registrations'], watchers)),
    '',
    ...(watchers.every((watcher) => NUMBERS.every((number) => hasRoom(watcher, number)))
      ? []
      : [
          'vm.max_map_count: userfaultfd makes mappings of what it watches, more than the kernel allows a process\n',
        ]),
    ...[overhead.answer(result) ?? []].flat(),
    '',
    `saved as ${path}`,
  ].join('\n');
}
