import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { RegcacheError, systemError } from '../../src/errors.js';
import { E } from '../../src/system/libc.js';
import { HERE } from '../system-calls.js';
import { CHANGES } from './changes.js';
import type { Place } from './kinds-of-memory.js';

/** What the first word says: how far the worker is. The second is the error number. */
const [GO, DONE, FAILED] = [1, 2, 3];

interface Task {
  readonly change: string;
  readonly place: Place;
}

/** A worker that makes changes, one when it is told to. */
export class ChangingWorker {
  readonly #state = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker = new Worker(new URL(import.meta.url), { workerData: this.#state });

  async ready(): Promise<void> {
    await once(this.#worker, 'online');
  }

  /** Returns when the change is made; without the event loop, which would give the monitor a turn. */
  run(task: Task): void {
    Atomics.store(this.#state, 0, GO);
    this.#worker.postMessage(task);
    Atomics.wait(this.#state, 0, GO);
    if (Atomics.load(this.#state, 0) === FAILED) throw systemError(this.#state[1], 'change');
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (!isMainThread && parentPort !== null) {
  const state = workerData as Int32Array;
  parentPort.on('message', ({ change, place }: Task) => {
    let outcome = DONE;
    try {
      CHANGES.find(({ name }) => name === change)!.make(place, HERE);
    } catch (error) {
      if (!(error instanceof RegcacheError)) throw error;
      state[1] = -(error.errno ?? -E.EIO);
      outcome = FAILED;
    }
    Atomics.store(state, 0, outcome);
    Atomics.notify(state, 0);
  });
}
