// A loop of hits, and what it cost besides time: garbage collections, which V8 traces on standard output as long as the
// loop runs, and nothing else is written there; on file descriptor 3, as JSON, by how many bytes the heap grew and how
// many calls of koffi, that is of C functions, there were. Two looks for files that do not exist mark the loop for strace.
//
// node --expose-gc proof-loop.js SUBJECT HITS
import { existsSync, writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import koffi from 'koffi';
import { countCalls } from './koffi-calls.js';

/** What the process says of its loop. */
export interface LoopCost {
  /** By how many bytes the heap grew: all that was allocated, if nothing was collected. */
  grown: number;
  /** Calls of functions of C. */
  calls: number;
}

/** Loops of hits, to be compared with one that is empty. */
export const HITS = ['address', 'buffer', 'address, counter moved'] as const;
/** Loops of hits by Buffer that do something besides, which has to be noticed. */
export const CONTROLS = ['and an object', 'and a call', 'and a system call'] as const;
export type Subject = 'empty' | (typeof HITS)[number] | (typeof CONTROLS)[number];

/** What a control does besides, it does at one hit in so many. */
export const ONCE_IN = 1000;

/** Files that nobody has: what strace sees before and after the loop. */
export const MARKS = { begin: '/hit-proof/begin', end: '/hit-proof/end' };

const RANGES = 128;
const BYTES = 16_384;

if (process.argv[1].endsWith('proof-loop.js'))
  await main(process.argv[2] as Subject, Number(process.argv[3]));

async function main(subject: Subject, hits: number): Promise<void> {
  // Before anything of ours binds a function.
  const calls = countCalls(koffi);
  const loop = await loopOf(subject);
  // Until the compilers have settled.
  for (let round = 0; round < 20; round++) {
    loop(200_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  globalThis.gc!();
  // The threads that collected have gone to sleep.
  await new Promise((resolve) => setTimeout(resolve, 100));
  setFlagsFromString('--trace-gc');
  const before = { heap: process.memoryUsage().heapUsed, calls: calls() };
  existsSync(MARKS.begin);
  loop(hits);
  existsSync(MARKS.end);
  const cost: LoopCost = {
    calls: calls() - before.calls,
    grown: process.memoryUsage().heapUsed - before.heap,
  };
  setFlagsFromString('--no-trace-gc');
  writeSync(3, JSON.stringify(cost));
}

async function loopOf(subject: Subject): Promise<(hits: number) => void> {
  const { RegistrationCache } = await import('../../src/cache/cache.js');
  const { addressOf } = await import('../../src/memory/locate.js');
  const { nullMonitor, nullRegistrar } = await import('./null.js');
  const monitor = { ...nullMonitor(), generations: new Int32Array(2 * RANGES) };
  const cache = new RegistrationCache({ monitor, registrar: nullRegistrar });
  const buffers = Array.from({ length: RANGES }, () => Buffer.alloc(BYTES));
  const addresses = buffers.map(addressOf);
  for (const buffer of buffers) {
    // Found when it is acquired again, and remembered by then.
    cache.acquire(buffer).release();
    cache.acquire(buffer).release();
  }
  const byAddress = (hits: number): void => {
    for (let i = 0; i < hits; i++) cache.acquireRange(addresses[i % RANGES], BYTES).release();
  };
  let kept: object | undefined;
  let sum = 0;
  const loops: Record<Subject, (hits: number) => void> = {
    empty: (hits) => {
      for (let i = 0; i < hits; i++) sum = i % RANGES;
    },
    address: byAddress,
    buffer: (hits) => {
      for (let i = 0; i < hits; i++) cache.acquire(buffers[i % RANGES]).release();
    },
    // Something else was hit: the counter differs, and the word of each range says that it is not meant.
    'address, counter moved': byAddress,
    'and an object': (hits) => {
      for (let i = 0; i < hits; i++) {
        cache.acquire(buffers[i % RANGES]).release();
        if (i % ONCE_IN === 0) kept = { i };
      }
    },
    'and a call': (hits) => {
      for (let i = 0; i < hits; i++) {
        cache.acquire(buffers[i % RANGES]).release();
        if (i % ONCE_IN === 0) sum += addressOf(buffers[0]);
      }
    },
    'and a system call': (hits) => {
      for (let i = 0; i < hits; i++) {
        cache.acquire(buffers[i % RANGES]).release();
        if (i % ONCE_IN === 0) existsSync('/hit-proof');
      }
    },
  };
  if (subject === 'address, counter moved') monitor.counter[0] = 1;
  const loop = loops[subject];
  return (hits) => {
    const before = cache.statistics().hits;
    loop(hits);
    const made = cache.statistics().hits - before;
    if (made !== (subject === 'empty' ? 0 : hits)) throw new Error(`${made} hits of ${hits}`);
    if (sum < 0 && kept !== undefined) throw new Error('for the compiler, which must not leave anything out');
  };
}
