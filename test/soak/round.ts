import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BEATS, type FromThread, type Orders, STOP, type ToThread, type Transferred } from './messages.js';
import { Places } from './places.js';

const TRANSFERRING = 3;
const THREADS = TRANSFERRING + 2;

/** Seconds in which each thread must get something done, also on an emulated processor with others at work. */
const SILENCE = 60;

/** Seconds that threads may take to stop once another one has failed. */
const FAREWELL = 20;

/** What the threads did and saw. */
export interface Round {
  readonly transferred: readonly Transferred[];
  /** How often what was done, by the threads that do nothing else. */
  readonly changed: Readonly<Record<string, number>>;
}

/** What threads hold that have stopped; asked anew each time. */
export type Ask = () => Promise<readonly Transferred[]>;

/**
 * Make places, have threads change and transfer them for a while, and close and unmap everything.
 * @param kept registrations, whatever happens to the memory
 * @param progress called each few seconds, with how many have passed and the words of messages.ts
 * @param stopped called when all threads have stopped and have not closed anything
 * @throws what a thread threw, or that one hangs; the process is to end then
 */
export async function runRound(
  seconds: number,
  seed: number,
  kept: boolean,
  progress: (seconds: number, words: Int32Array) => void,
  stopped: (ask: Ask) => Promise<void>,
): Promise<Round> {
  const places = Places.make();
  const words = new Int32Array(new SharedArrayBuffer((BEATS + THREADS) * 4));
  const begin = (thread: number): Worker => {
    const task = thread < TRANSFERRING ? 'transfer' : 'change';
    const workerData: Orders = { task, thread, seed, places: places.shared, words, kept };
    // Files belong to the places: any thread closes what another has opened.
    const options = { workerData, trackUnmanagedFds: false };
    return new Worker(new URL('./thread.js', import.meta.url), options);
  };
  const workers = Array.from({ length: THREADS }, (_, thread) => begin(thread));
  const transferring = workers.slice(0, TRANSFERRING);
  const ended = Promise.allSettled(workers.map((worker) => once(worker, 'exit')));
  let pace: NodeJS.Timeout | undefined;
  const watchdog = new Watchdog(words);

  const work = async (): Promise<Round> => {
    await Promise.all(workers.map(answer));
    watchdog.start();
    const start = performance.now();
    pace = setInterval(() => {
      progress((performance.now() - start) / 1000, words);
    }, 5000);
    const stop = async (): Promise<void> => {
      await sleep(seconds * 1000);
      Atomics.store(words, STOP, 1);
    };
    const [answers] = await Promise.all([Promise.all(workers.map(answer)), stop()]);
    watchdog.stop();
    clearInterval(pace);
    const changed = answers.flatMap((one) => (one !== 'ready' && 'changed' in one ? [one.changed] : []));
    let transferred = transferredOf(answers);
    await stopped(async () => {
      const answers = transferring.map(answer);
      for (const worker of transferring) worker.postMessage('tell' satisfies ToThread);
      return (transferred = transferredOf(await Promise.all(answers)));
    });
    for (const worker of transferring) worker.postMessage('close' satisfies ToThread);
    await ended;
    places.end();
    return { transferred, changed: sums(changed) };
  };
  try {
    const failures = workers.map(async (worker) => {
      const [error] = (await once(worker, 'error')) as [Error];
      throw error;
    });
    return await Promise.race([work(), watchdog.hang, ...failures]);
  } catch (error) {
    // A process that ends under threads at work may crash, and what failed would be lost in that.
    Atomics.store(words, STOP, 1);
    for (const worker of transferring) worker.postMessage('close' satisfies ToThread);
    await Promise.race([ended, sleep(FAREWELL * 1000)]);
    throw error;
  } finally {
    clearInterval(pace);
    watchdog.stop();
  }
}

async function answer(worker: Worker): Promise<FromThread> {
  const [message] = (await once(worker, 'message')) as [FromThread];
  return message;
}

function transferredOf(answers: readonly FromThread[]): Transferred[] {
  return answers.flatMap((one) => (one !== 'ready' && 'transferred' in one ? [one.transferred] : []));
}

/** Of the same name, added up. */
export function sums<Name extends string>(
  counts: readonly Partial<Record<Name, number>>[],
): Record<Name, number> {
  const all: Partial<Record<Name, number>> = {};
  for (const one of counts)
    for (const [name, count] of Object.entries(one) as [Name, number][]) all[name] = (all[name] ?? 0) + count;
  return all as Record<Name, number>;
}

/** Notices threads that get nothing done any more. */
class Watchdog {
  readonly hang: Promise<never>;
  readonly #words: Int32Array;
  #reject!: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(words: Int32Array) {
    this.#words = words;
    this.hang = new Promise((_, reject) => (this.#reject = reject));
  }

  /** Once all threads are ready: to load what they need may take them longer than they may be silent. */
  start(): void {
    let before = this.#words.slice(BEATS);
    this.#timer = setInterval(() => {
      const now = this.#words.slice(BEATS);
      const silent = now.findIndex((beats, thread) => beats === before[thread]);
      before = now;
      if (silent !== -1) this.#reject(new Error(`thread ${silent} got nothing done for ${SILENCE} s`));
    }, SILENCE * 1000);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
