import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Work, WorkerData } from './worker.js';

/** Threads that write memory which they share. */
export class Pool implements AsyncDisposable {
  readonly #workers: readonly Worker[];
  readonly #next: Int32Array<SharedArrayBuffer>;

  private constructor(workers: readonly Worker[], next: Int32Array<SharedArrayBuffer>) {
    this.#workers = workers;
    this.#next = next;
  }

  static async start(count: number, data: Omit<WorkerData, 'next'>): Promise<Pool> {
    const next = new Int32Array(new SharedArrayBuffer(4));
    const workerData: WorkerData = { ...data, next };
    const program = new URL('./worker.js', import.meta.url);
    const pool = new Pool(
      Array.from({ length: count }, () => new Worker(program, { workerData })),
      next,
    );
    const ready = await Promise.allSettled(pool.#workers.map(answer));
    const failed = ready.find(({ status }) => status === 'rejected');
    if (failed === undefined) return pool;
    await pool[Symbol.asyncDispose]();
    throw (failed as PromiseRejectedResult).reason;
  }

  /** Write all of the memory. @returns what each worker has done so far */
  async write(): Promise<Work[]> {
    Atomics.store(this.#next, 0, 0);
    const answers = Promise.all(this.#workers.map(answer));
    for (const worker of this.#workers) worker.postMessage('write');
    return (await answers) as Work[];
  }

  /** A worker's connection is closed with it, and what its cache registered is deregistered. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** The next that a worker says; rejects with what was thrown there. */
async function answer(worker: Worker): Promise<unknown> {
  const [said] = (await once(worker, 'message')) as unknown[];
  return said;
}
