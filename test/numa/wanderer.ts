/** A worker thread that touches pages from one processor and then from another, while shared[GO] says so. */
import { workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';

export const GO = 0;
/** Told to end, perhaps before it has begun. */
export const END = 2;
/** Rounds made, by all threads. */
export const ROUNDS = 1;

export interface WandererData {
  address: number;
  length: number;
  cpus: readonly number[];
  shared: Int32Array;
}

if (workerData !== null) {
  const { address, length, cpus, shared } = workerData as WandererData;
  const setAffinity = koffi
    .load(null)
    .func('int sched_setaffinity(int thread, size_t size, void *mask)') as unknown as (
    thread: number,
    size: number,
    mask: Buffer,
  ) => number;
  const masks = cpus.map((cpu) => {
    const mask = Buffer.alloc(128);
    mask[cpu >> 3] = 1 << (cpu & 7);
    return mask;
  });
  const bytes = bytesAt(address, length);
  Atomics.wait(shared, GO, 0);
  for (let round = 0; Atomics.load(shared, GO) === 1; round++) {
    const mask = masks[round % masks.length];
    if (setAffinity(0, mask.length, mask) !== 0) throw new Error('sched_setaffinity failed');
    const until = performance.now() + 200;
    while (performance.now() < until)
      for (let at = 0; at < length; at += PAGE_SIZE) bytes[at] = bytes[at] + 1;
    Atomics.add(shared, ROUNDS, 1);
  }
}
