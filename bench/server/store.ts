import type { MemoryName } from '../about/server.js';
import { type Allocator, ALLOCATORS, type Block } from './allocators.js';
import { copyMemory } from './copy-memory.js';

export interface Value extends Block {
  /** Which of all values it is. */
  readonly number: number;
}

/** Values by key, each in memory of its own. */
export class Store {
  readonly #allocator: Allocator;
  readonly #values: (Value | undefined)[] = [];
  /** For each value that was put so far, the time spent in getting memory and giving it back, in us. */
  readonly allocating: number[] = [];

  constructor(memory: MemoryName, keys: number) {
    // A new value is there before the old one goes.
    this.#allocator = ALLOCATORS[memory](keys + 1);
  }

  get(key: number): Value {
    return this.#values[key]!;
  }

  /** @param from address of its bytes, which are copied */
  put(key: number, from: number, length: number, number: number): void {
    const start = performance.now();
    const block = this.#allocator.allocate(length);
    const allocated = performance.now();
    copyMemory(block.address, from, length);
    const copied = performance.now();
    const old = this.#values[key];
    this.#values[key] = { ...block, number };
    if (old !== undefined) this.#allocator.free(old);
    this.allocating.push(1000 * (allocated - start + (performance.now() - copied)));
  }

  end(): void {
    for (const value of this.#values.splice(0)) this.#allocator.free(value!);
    this.#allocator.end();
  }
}
