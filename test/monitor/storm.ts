/** A worker thread that changes mappings without end, until told to: shared[STATE], and shared[ROUNDS] counts. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { map, PAGE_SIZE } from '../../src/system/mapping.js';

const STATE = 0;
const ROUNDS = 1;
const END = 1;

interface Orders {
  storm: { address: number; pages: number; shared: Int32Array };
}

/** Drops the pages of a range and maps over them, one at a time, in a thread. */
export class Storm {
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  readonly #exit: Promise<unknown>;

  constructor(address: number, pages: number) {
    const workerData: Orders = { storm: { address, pages, shared: this.#shared } };
    this.#worker = new Worker(fileURLToPath(import.meta.url), { workerData });
    this.#worker.unref();
    this.#exit = once(this.#worker, 'exit');
  }

  /** How many pages it has been through. */
  get rounds(): number {
    return Atomics.load(this.#shared, ROUNDS);
  }

  /** Block until it has been through some more pages. */
  awaitRounds(more: number): void {
    const goal = this.rounds + more;
    while (this.rounds < goal) Atomics.wait(this.#shared, STATE, 0, 1);
  }

  /** Let the event loop run until it has begun. */
  async begun(): Promise<void> {
    this.#worker.ref();
    await once(this.#worker, 'online');
    this.#worker.unref();
    this.awaitRounds(10);
  }

  async end(): Promise<void> {
    Atomics.store(this.#shared, STATE, END);
    this.#worker.ref();
    await this.#exit;
  }
}

function rage({ address, pages, shared }: Orders['storm']): void {
  for (let n = 0; Atomics.load(shared, STATE) !== END; n++) {
    const page = address + (n % pages) * PAGE_SIZE;
    if (n % 2 === 0) madvise(page, PAGE_SIZE, MADV_DONTNEED);
    else map(PAGE_SIZE, { at: page, replace: true });
    Atomics.add(shared, ROUNDS, 1);
  }
}

if (!isMainThread && workerData !== null && 'storm' in (workerData as Partial<Orders>)) {
  rage((workerData as Orders).storm);
}
