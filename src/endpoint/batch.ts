import { takeOptions } from '../options.js';
import type { Memory } from '../memory/locate.js';
import type { RemoteMemory } from './remote-memory.js';
import {
  compareAndSwapTask,
  fetchAndAddTask,
  type Limits,
  readTask,
  REMOTE,
  type RemoteOptions,
  SEND,
  type SendOptions,
  type SendTask,
  sendTask,
  WRITE,
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
    return this.#add(sendTask(this.#limits, memory, takeOptions(options, SEND)));
  }

  write(memory: Memory, remote: RemoteMemory, options: WriteOptions = {}): this {
    return this.#add(writeTask(this.#limits, memory, remote, takeOptions(options, WRITE)));
  }

  read(memory: Memory, remote: RemoteMemory, options: RemoteOptions = {}): this {
    return this.#add(readTask(this.#limits, memory, remote, takeOptions(options, REMOTE)));
  }

  compareAndSwap(remote: RemoteMemory, compare: bigint, swap: bigint, options: RemoteOptions = {}): this {
    return this.#add(compareAndSwapTask(this.#limits, remote, compare, swap, takeOptions(options, REMOTE)));
  }

  fetchAndAdd(remote: RemoteMemory, add: bigint, options: RemoteOptions = {}): this {
    return this.#add(fetchAndAddTask(this.#limits, remote, add, takeOptions(options, REMOTE)));
  }

  /**
   * Post them, as soon as there is room for all; the batch is empty then.
   * @returns what each of the methods of the endpoint would give, in this order; rejects with the first that fails
   */
  async post(options: { signal?: AbortSignal } = {}): Promise<(number | bigint)[]> {
    const { signal } = takeOptions(options, ['signal']);
    return Promise.all(this.#submit(this.#tasks.splice(0), signal));
  }

  #add(task: SendTask<number | bigint>): this {
    this.#tasks.push(task);
    return this;
  }
}
