import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { DONE, END, GO, type ZapperData } from './zapper.js';

/** A thread that drops a range again and again, one round at a time. */
export class Zapper {
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  #round = 0;

  constructor(address: number, length: number) {
    const workerData: ZapperData = { address, length, shared: this.#shared };
    this.#worker = new Worker(new URL('./zapper.js', import.meta.url), { workerData });
    // A test that failed must not keep mocha from its end.
    this.#worker.unref();
  }

  async ready(): Promise<void> {
    this.#worker.ref();
    await once(this.#worker, 'online');
    this.#worker.unref();
  }

  start(): void {
    Atomics.store(this.#shared, GO, ++this.#round);
    Atomics.notify(this.#shared, GO);
  }

  /** Whether the call that was started has not come back yet. */
  isBusy(): boolean {
    return Atomics.load(this.#shared, DONE) < this.#round;
  }

  join(): void {
    while (this.isBusy()) Atomics.wait(this.#shared, DONE, this.#round - 1, 1000);
  }

  async end(): Promise<void> {
    this.#worker.ref();
    const exit = once(this.#worker, 'exit');
    Atomics.store(this.#shared, GO, END);
    Atomics.notify(this.#shared, GO);
    await exit;
  }
}
