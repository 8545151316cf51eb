import type { Memory } from '../memory/locate.js';
import type { RemoteMemory } from './remote-memory.js';
import {
  compareAndSwapTask,
  fetchAndAddTask,
  type Limits,
  readTask,
  type RemoteOptions,
  type SendOptions,
  type SendTask,
  sendTask,
  type WriteOptions,
  writeTask,
} from './tasks.js';

/** Requests that are posted with one call, in this order. Each method adds one and returns the batch. */
export class Batch {
  readonly #limits: Limits;
  readonly #submit: (
    tasks: readonly SendTask<number | bigint>[],
    signal: AbortSignal | undefined,
  ) => Promise<number | bigint>[];
  readonly #tasks: SendTask<number | bigint>[] = [];

  /** @internal */
  constructor(
    limits: Limits,
    submit: (
      tasks: readonly SendTask<number | bigint>[],
      signal: AbortSignal | undefined,
    ) => Promise<number | bigint>[],
  ) {
    this.#limits = limits;
    this.#submit = submit;
  }

  /** Requests in it. */
  get length(): number {
    return this.#tasks.length;
  }

  send(memory: Memory | undefined, options: SendOptions = {}): this {
    return this.#add(sendTask(this.#limits, memory, options));
  }

  write(memory: Memory, remote: RemoteMemory, options: WriteOptions = {}): this {
    return this.#add(writeTask(this.#limits, memory, remote, options));
  }

  read(memory: Memory, remote: RemoteMemory, options: RemoteOptions = {}): this {
    return this.#add(readTask(this.#limits, memory, remote, options));
  }

  compareAndSwap(remote: RemoteMemory, compare: bigint, swap: bigint, options: RemoteOptions = {}): this {
    return this.#add(compareAndSwapTask(this.#limits, remote, compare, swap, options));
  }

  fetchAndAdd(remote: RemoteMemory, add: bigint, options: RemoteOptions = {}): this {
    return this.#add(fetchAndAddTask(this.#limits, remote, add, options));
  }

  /**
   * Post them, as soon as there is room for all; the batch is empty then.
   * @returns what each of the methods of the endpoint would give, in this order; rejects with the first that fails
   */
  async post(options: { signal?: AbortSignal } = {}): Promise<(number | bigint)[]> {
    return Promise.all(this.#submit(this.#tasks.splice(0), options.signal));
  }

  #add(task: SendTask<number | bigint>): this {
    this.#tasks.push(task);
    return this;
  }
}
