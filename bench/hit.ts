/**
 * What does a hit cost: acquire and release of a cached range, by address and by Buffer, beside UCX's registration
 * cache and simpler ways to build one? All are measured in turn by processes that are alive at the same time, so that a
 * machine that changes its speed changes it for all; nobody registers anything and nobody watches.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { hit, MEANINGS, type Subject, SUBJECTS } from './about/hit.js';
import { inTurn, type Meter, startMeter } from './meter.js';
import { here, measured, median, rounded, save, table, type Result, type Row } from './result.js';

const NUMBERS = [1, 100, 10_000, 1_000_000];
const MOST = NUMBERS.at(-1)!;
const BYTES = 16_384;
const OPERATIONS = 2_000_000;
const ROUNDS = 7;
const TURNS = { rounds: ROUNDS, warmUp: 2 };

/** What it may cost, by the number of ranges, as a part of what UCX takes. */
const TARGETS: Partial<Record<Subject, readonly number[]>> = {
  address: [0.25, 0.25, 0.4, 0.6],
  buffer: [0.6, 0.6, 0.8, 1],
};
const TARGET_CHURN = 2_000;
const TARGET_STORM = 1_000;
const TARGET_BYTES = 200;

/** The nanoseconds that an operation takes. */
interface HitMeter extends Meter<number> {
  readonly subject: Subject;
  readonly ranges: number;
}

const { values: options } = parseArgs({ options: hit.options });

const folder = mkdtempSync(join(tmpdir(), 'regcache-bench-'));
const meters: HitMeter[] = [];
try {
  const ucx = join(folder, 'ucx');
  execFileSync(
    process.env['CC'] ?? 'gcc-12',
    // libucm, which has the hooks, is found only by name: the linker must not leave it out.
    ['-O2', '-o', ucx, 'bench/hit/ucx.c', '-Wl,--no-as-needed', '-lucs', '-lucm'],
    { cwd: PROJECT, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  for (const ranges of NUMBERS) {
    for (const subject of SUBJECTS) meters.push(start(ucx, subject, ranges));
  }
  process.stderr.write(`Caching up to ${MOST.toLocaleString('en-US')} ranges ...\n`);
  const hits = await inTurn(meters, 'hit', TURNS);
  const most = meters.filter(
    ({ subject, ranges }) => (subject === 'ucx' || subject === 'address') && ranges === MOST,
  );
  const churn = await inTurn(most, 'churn', TURNS);
  const storm = await inTurn(
    most.filter(({ subject }) => subject === 'address'),
    'storm',
    TURNS,
  );
  const bytes = await most.find(({ subject }) => subject === 'address')!.ask('bytes');
  const result: Result = {
    ...here(),
    name: 'hit',
    monitor: 'null (mapped page)',
    registrar: 'null',
    unit: 'ns of CPU time, median, where the row names no other; the spread is half of the range between the quartiles, in % of the median',
    rows: [
      ...NUMBERS.map((ranges, i) => row('hit', ranges, hits, i)),
      row('insert + evict', MOST, churn),
      {
        what: 'stale, of 100,000 at once',
        ranges: MOST,
        address: Math.round(median([...storm.values()].flat())),
      },
      { what: 'idle registration, bytes', ranges: MOST, address: Math.round(bytes) },
    ],
  };
  const path = save(result, hit.figures);
  console.log(options.json ? JSON.stringify(result) : render(result, path));
} finally {
  for (const meter of meters) meter.end();
  rmSync(folder, { recursive: true });
}

function start(ucx: string, subject: Subject, ranges: number): HitMeter {
  const numbers = [ranges, BYTES, OPERATIONS].map(String);
  const program = join(PROJECT, 'dist', 'bench', 'hit', 'cache.js');
  const argv = {
    ucx: [ucx, ...numbers],
    'ucx inline': [ucx, ...numbers, 'inline'],
    ours: [process.execPath, '--expose-gc', program, subject, ...numbers],
  };
  const of = subject === 'ucx' || subject === 'ucx inline' ? subject : 'ours';
  return { ...startMeter<number>(`${subject} with ${ranges} ranges`, argv[of]), subject, ranges };
}

function row(what: string, ranges: number, samples: Map<HitMeter, number[]>, target?: number): Row {
  const row: Row = { what, ranges };
  const of = (subject: Subject): number[] | undefined =>
    [...samples].find(([meter]) => meter.subject === subject && meter.ranges === ranges)?.[1];
  const ucx = median(of('ucx')!);
  for (const subject of SUBJECTS) {
    const own = of(subject);
    if (own === undefined) continue;
    Object.assign(row, measured(subject, own, 1));
    const targets = TARGETS[subject];
    if (targets === undefined || target === undefined) continue;
    row[`${subject}/ucx`] = rounded(median(own) / ucx, 2);
    row[`${subject} target`] = targets[target];
  }
  return row;
}

function render({ rows, where, kernel }: Result, path: string): string {
  const [churn, storm, bytes] = rows.slice(NUMBERS.length);
  return [
    `acquire + release of cached 16 KiB ranges in random order, ns of CPU time (${where}, Linux ${kernel}; median of ${ROUNDS})`,
    'no registrar registers and no monitor watches in any of them: null stands in for both',
    ...SUBJECTS.map((subject) => `  ${subject.padEnd(11)} ${MEANINGS[subject]}`),
    '',
    table(rows.slice(0, NUMBERS.length)),
    '',
    `insert + evict, 1,000,000 ranges:   ${churn['address']} ns (at most ${TARGET_CHURN}; UCX ${churn['ucx']})`,
    `taking in a stale one of 100,000:   ${storm['address']} ns (at most ${TARGET_STORM})`,
    `an idle registration:               ${bytes['address']} bytes (at most ${TARGET_BYTES})`,
    '',
    `saved as ${path}`,
  ].join('\n');
}
