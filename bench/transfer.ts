/**
 * How fast are RDMA writes and reads in Node, beside C? Messages of each size are transferred between two queue pairs:
 * from many buffers that are acquired from the cache each time, registered each time, or copied to and from memory that
 * is registered once; and by perftest. All are measured in turn, and what arrived is compared with what was sent.
 */
import { parseArgs } from 'node:util';
import { createCache } from '../src/create-cache.js';
import { latencyOf, ratioOf, type Subject as Name, SUBJECTS, TARGET, transfer } from './about/transfer.js';
import { here, measured, save, table, type Result, type Row } from './result.js';
import { type Flow, oneAtATime, type Operation, OPERATIONS, type Size, SIZES } from './transfer/cases.js';
import { Connection } from './connection.js';
import { Messages } from './transfer/messages.js';
import { perftest } from './transfer/perftest.js';
import { Stream } from './transfer/stream.js';
import { Acquired, Bounce, type Subject } from './transfer/subjects.js';

/** Milliseconds until the compilers have settled, the first time that a subject has its turn, and later. */
const [SETTLING, WARM_UP] = [6000, 500];
/** Of a measurement; perftest takes whole seconds. */
const MEASURED = 1000;
/** Of one message at a time, of which there are no more than these. */
const ROUNDS_ALONE = 3;

const { values: options } = parseArgs({ options: transfer.options });

const sizes = SIZES.filter(({ bytes }) => options.bytes?.includes(String(bytes)) ?? true);
if (sizes.length !== (options.bytes?.length ?? SIZES.length)) {
  process.stderr.write(`--bytes takes ${SIZES.map(({ bytes }) => bytes).join(', ')}\n`);
  process.exit(2);
}

const connection = new Connection(Math.max(...SIZES.map(({ window }) => window)));
const cache = createCache(connection.pd, { monitor: 'ummunotify' });

/** Messages a second with the window full, and of those that are alone on their way; of each round. */
interface Rates {
  readonly full: number[];
  readonly alone: number[];
}
type Samples = Record<Name | 'perftest lists', Rates>;

const rows: Row[] = [];
for (const size of sizes) {
  const messages = new Messages(size.bytes);
  const rkey = connection.expose(messages.peer);
  for (const operation of OPERATIONS) rows.push(await measure(size, operation, messages, rkey));
  cache.flush();
}
await cache.end();
connection.close();

const result: Result = {
  ...here(),
  name: 'transfer',
  monitor: 'ummunotify',
  registrar: 'ibverbs',
  unit: 'MB/s with the window full, us for one message alone; medians',
  rows,
};
// A part must not take the place of the whole.
const path = options.bytes === undefined ? save(result, transfer.figures) : undefined;
console.log(options.json ? JSON.stringify(result) : render(result, path));

async function measure(size: Size, operation: Operation, messages: Messages, rkey: number): Promise<Row> {
  const samples = Object.fromEntries(
    [...SUBJECTS, 'perftest lists'].map((name) => [name, { full: [], alone: [] }]),
  ) as unknown as Samples;
  const flow = { ...size, operation };
  for (let round = 1; round <= size.rounds; round++) {
    process.stderr.write(
      `${operation} ${size.bytes.toLocaleString('en-US')} bytes, round ${round} of ${size.rounds}\n`,
    );
    for (const name of SUBJECTS) {
      const rate = (one: typeof flow): Promise<number> | number =>
        name === 'perftest'
          ? perftest(connection, one, one, false)
          : nodeRate(name, one, messages, rkey, rows.length === 0 && round === 1 ? SETTLING : WARM_UP);
      const { full, alone } = samples[name];
      full.push(await rate(flow));
      // Where the window has room for one it is always alone.
      if (size.window === 1) alone.push(full.at(-1)!);
      else if (round <= ROUNDS_ALONE) alone.push(await rate(oneAtATime(flow)));
    }
    if (size.lists) samples['perftest lists'].full.push(await perftest(connection, flow, flow, true));
  }
  return rowOf(size, operation, samples);
}

/**
 * @param warmUp milliseconds
 * @returns messages a second
 */
function nodeRate(
  name: Exclude<Name, 'perftest'>,
  flow: Flow & Size,
  messages: Messages,
  rkey: number,
  warmUp: number,
): number {
  const { operation, window, list, seconds } = flow;
  const subject = subjectOf(name, messages, flow);
  messages.renew(operation);
  const stream = new Stream(connection, messages, rkey, subject, flow);
  let spent = 0;
  do spent += stream.run(window);
  while (seconds > 0 && spent < warmUp);
  const pace = stream.done / spent;
  const count = seconds > 0 ? list * Math.ceil((pace * MEASURED) / list) : flow.messages;
  const rate = (1000 * count) / stream.run(count);
  messages.verify(stream.done);
  subject.close();
  return rate;
}

function subjectOf(name: Exclude<Name, 'perftest'>, messages: Messages, flow: Flow): Subject {
  switch (name) {
    case 'cached':
      // In it already, as in a program that has run for a while.
      for (const buffer of messages.buffers) cache.acquire(buffer).release();
      return new Acquired(messages, flow, (buffer) => cache.acquire(buffer));
    case 'uncached':
      return new Acquired(messages, flow, (buffer) => cache.acquireUncached(buffer));
    case 'bounce':
      return new Bounce(connection.pd, messages, flow);
  }
}

function rowOf({ bytes, window }: Size, operation: Operation, samples: Samples): Row {
  const megabytes = (name: keyof Samples): Row =>
    measured(
      name,
      samples[name].full.map((rate) => (rate * bytes) / 1e6),
      2,
    );
  const ratio = (column: string, to: 'perftest' | 'perftest lists', name: Name): Row =>
    measured(
      column,
      samples[name].full.map((rate, round) => rate / samples[to].full[round]),
      2,
    );
  const lists =
    samples['perftest lists'].full.length === 0
      ? []
      : [megabytes('perftest lists'), ratio('cached/perftest lists', 'perftest lists', 'cached')];
  return Object.assign(
    { what: operation, bytes, window },
    ...SUBJECTS.map(megabytes),
    ...SUBJECTS.filter((name) => name !== 'perftest').map((name) => ratio(ratioOf(name), 'perftest', name)),
    ...lists,
    ...SUBJECTS.map((name) =>
      measured(
        latencyOf(name),
        samples[name].alone.map((rate) => 1e6 / rate),
        1,
      ),
    ),
  ) as Row;
}

function render({ rows: all, where, kernel }: Result, saved: string | undefined): string {
  return [
    `RDMA writes and reads (${where}, Linux ${kernel}; medians)`,
    '',
    'throughput, MB/s, with the window full',
    table(partOf(all, (name) => !isLatency(name))),
    '',
    'latency, us, of one message at a time',
    table(partOf(all, (name) => ['what', 'bytes'].includes(name) || isLatency(name))),
    '',
    ...all.filter(({ what, bytes }) => what === 'write' && bytes === 64).map(verdict),
    ...(saved === undefined ? [] : ['', `saved as ${saved}`]),
  ].join('\n');
}

function isLatency(column: string): boolean {
  return SUBJECTS.some((name) => column.startsWith(latencyOf(name)));
}

/** Of the row with the smallest writes. */
function verdict(row: Row): string {
  const rate = (column: string): string =>
    Math.round((Number(row[column]) * 1e6) / Number(row['bytes'])).toLocaleString('en-US');
  const ratio = Number(row[ratioOf('cached')]);
  const lists = 'perftest lists';
  return [
    `64-byte writes a second, ${row['window']} under way: cached ${rate('cached')}, perftest ${rate('perftest')}, ` +
      `perftest with lists as long as Node's ${rate(lists)}`,
    `cached/perftest: ${ratio.toFixed(2)} (at least ${TARGET}: ${ratio >= TARGET ? 'met' : 'not met'}); ` +
      `cached/${lists}: ${Number(row[`cached/${lists}`]).toFixed(2)}`,
  ].join('\n');
}

/** Some of the columns. */
function partOf(all: readonly Row[], take: (column: string) => boolean): Row[] {
  return all.map((row) => Object.fromEntries(Object.entries(row).filter(([column]) => take(column))));
}
