/** A worker thread that drops pages when told to: shared[GO] is what it was told, shared[DONE] what it has done. */
import { workerData } from 'node:worker_threads';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';

export const GO = 0;
export const DONE = 1;
/** Told to end. */
export const END = -1;

export interface ZapperData {
  address: number;
  length: number;
  shared: Int32Array;
}

if (workerData !== null) {
  const { address, length, shared } = workerData as ZapperData;
  for (let round = 1; ; round++) {
    Atomics.wait(shared, GO, round - 1);
    if (Atomics.load(shared, GO) === END) break;
    madvise(address, length, MADV_DONTNEED);
    Atomics.store(shared, DONE, round);
    Atomics.notify(shared, DONE);
  }
}
