/**
 * Load under which a monitor whose thread allocated, or waited for one that does, would hang: threads that allocate,
 * collect garbage, map and unmap, and acquire what they have allocated, each with a cache and a monitor of its own.
 *
 * node dist/test/monitor/soak.js [--monitor userfaultfd|malloc-hooks|ummunotify] [--seconds N]
 *
 * A line each second has the rounds of each thread, in JSON; the last has the outcome.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { RegistrationCache } from '../../src/cache/cache.js';
import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';
import type { MemoryMonitor } from '../../src/monitor/monitor.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { addressOf } from '../../src/memory/locate.js';
import { collectGarbage } from '../garbage.js';
import { webAssembly } from '../memory-kinds.js';
import { PipeDevice } from './pipe-device.js';

const MONITORS = {
  userfaultfd: () => new UserfaultfdMonitor(),
  'malloc-hooks': () => new MallocHooksMonitor(),
  ummunotify: () => new UmmunotifyMonitor(),
} as const;
export type Kind = keyof typeof MONITORS;

/** What the threads have done since the beginning, summed up. */
export interface Outcome {
  acquired: number;
  hits: number;
  invalidations: number;
  /** Registrations of other pages than those acquired: the race that userfaultfd has by design. */
  stale: number;
  /** The least that any thread has done. */
  least: number;
}

const THREADS = 4;
const FIELDS = 5;
const ROUNDS = 0;
const ACQUIRED = 1;
const HITS = 2;
const INVALIDATIONS = 3;
const STALE = 4;
const FILE = fileURLToPath(import.meta.url);

interface Load {
  soak: { kind: Kind; seconds: number; counts: Int32Array; thread: number };
}

/** A buffer of a size at which malloc maps, or does not, and with what was there before left in it. */
function allocate(round: number): Buffer {
  const bytes = [1000, 40_000, 150_000, 300_000, 700_000][round % 5] + ((round * 7919) % 5000);
  return round % 3 === 0 ? Buffer.alloc(bytes) : Buffer.allocUnsafeSlow(bytes);
}

async function load({ kind, seconds, counts, thread }: Load['soak']): Promise<void> {
  const device = new PipeDevice();
  const monitor: MemoryMonitor = MONITORS[kind]();
  const cache = new RegistrationCache({ monitor, registrar: device, maxRegistrations: 64 });
  const mine = counts.subarray(thread * FIELDS, (thread + 1) * FIELDS);
  const kept: Buffer[] = [];
  const end = performance.now() + seconds * 1000;

  for (let round = 0; performance.now() < end; round++) {
    const memory = kept.length > 20 && round % 2 === 0 ? kept[round % kept.length] : allocate(round);
    memory.writeUInt32LE(round);
    {
      using registration = cache.acquire(memory);
      const seen = device.read(registration, addressOf(memory), memory.length);
      if (!seen.equals(memory)) mine[STALE]++;
      mine[ACQUIRED]++;
    }
    kept.push(memory);
    if (kept.length > 40) kept.splice(0, 20);
    // Mappings come and go beside it, some of them watched.
    const raw = map(8 * PAGE_SIZE);
    if (round % 4 === 0) cache.acquireRange(raw, 8 * PAGE_SIZE).release();
    unmap(raw, 8 * PAGE_SIZE);
    if (round % 100 === 0) webAssembly().grow(1);
    if (round % 200 === 0) collectGarbage();
    else if (round % 20 === 0) collectGarbage({ type: 'minor' });
    // The event loop drains too.
    if (round % 50 === 0) await new Promise(setImmediate);
    Atomics.add(mine, ROUNDS, 1);
    const { hits, invalidations } = cache.statistics();
    mine[HITS] = hits;
    mine[INVALIDATIONS] = invalidations;
  }
  cache.close();
  device.close();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      monitor: { type: 'string', default: 'userfaultfd' },
      seconds: { type: 'string', default: '10' },
    },
  });
  const kind = values.monitor as Kind;
  const seconds = Number(values.seconds);
  if (!Object.hasOwn(MONITORS, kind) || !(seconds > 0)) throw new Error('see the head of this file');
  const counts = new Int32Array(new SharedArrayBuffer(THREADS * FIELDS * 4));
  const told = setInterval(() => {
    console.log(JSON.stringify(perThread(counts, ROUNDS)));
  }, 1000);
  const workers = Array.from({ length: THREADS - 1 }, (_, n) => {
    const workerData: Load = { soak: { kind, seconds, counts, thread: n + 1 } };
    return new Worker(FILE, { workerData });
  });
  const ends = workers.map((worker) => once(worker, 'exit'));
  await load({ kind, seconds, counts, thread: 0 });
  await Promise.all(ends);
  clearInterval(told);
  const sum = (field: number): number => perThread(counts, field).reduce((a, b) => a + b);
  const outcome: Outcome = {
    acquired: sum(ACQUIRED),
    hits: sum(HITS),
    invalidations: sum(INVALIDATIONS),
    stale: sum(STALE),
    least: Math.min(...perThread(counts, ROUNDS)),
  };
  console.log(JSON.stringify(outcome));
}

const perThread = (counts: Int32Array, field: number): number[] =>
  Array.from({ length: THREADS }, (_, thread) => Atomics.load(counts, thread * FIELDS + field));

/** Milliseconds that the load may take to say something. */
const SILENCE = 30_000;

/**
 * Run the load in a process of its own.
 * @throws when it falls silent (a deadlock) or does not end well
 */
export async function soak(kind: Kind, seconds: number): Promise<Outcome> {
  const child = spawn(process.execPath, [FILE, '--monitor', kind, '--seconds', String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  let last = 'nothing';
  const late = (): void => void child.kill('SIGKILL');
  let watchdog = setTimeout(late, SILENCE);
  for await (const line of createInterface(child.stdout)) {
    // Silence of one thread is silence.
    const stuck = last === line;
    last = line;
    if (stuck) continue;
    clearTimeout(watchdog);
    watchdog = setTimeout(late, SILENCE);
  }
  const [code, signal] = await exited;
  clearTimeout(watchdog);
  if (code !== 0) throw new Error(`the load ended with ${signal ?? code} after it said ${last}`);
  return JSON.parse(last) as Outcome;
}

if (!isMainThread && workerData !== null && 'soak' in (workerData as Partial<Load>)) {
  await load((workerData as Load).soak);
} else if (isMainThread && process.argv[1] === FILE) {
  await main();
}
