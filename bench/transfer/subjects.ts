import { Access } from '../../src/access.js';
import type { Registration } from '../../src/cache/registration.js';
import { addressOf } from '../../src/memory/locate.js';
import type { MemoryRegion } from '../../src/verbs/memory-region.js';
import type { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import type { Flow } from './cases.js';
import type { Messages } from './messages.js';

/** A way to have the memory of messages registered, each time that one is transferred. */
export interface Subject {
  /** Where the device finds message `n`, at `n` modulo their number. */
  readonly addresses: readonly number[];
  /** What there is to do before message `n` is posted. @returns the lkey */
  begin(n: number): number;
  /** What there is to do when it was transferred. */
  end(n: number): void;
  close(): void;
}

/** The memory of each message is acquired, and released when that was transferred. */
export class Acquired implements Subject {
  readonly addresses: readonly number[];
  readonly #buffers: readonly Buffer[];
  readonly #acquire: (buffer: Buffer) => Registration;
  readonly #held: Registration[];

  constructor({ buffers, addresses }: Messages, { window }: Flow, acquire: (buffer: Buffer) => Registration) {
    this.addresses = addresses;
    this.#buffers = buffers;
    this.#acquire = acquire;
    this.#held = Array.from({ length: window });
  }

  begin(n: number): number {
    const registration = this.#acquire(this.#buffers[n % this.#buffers.length]);
    this.#held[n % this.#held.length] = registration;
    return registration.lkey;
  }

  end(n: number): void {
    this.#held[n % this.#held.length].release();
  }

  close(): void {
    // All was released.
  }
}

/** Copied to or from memory that was registered before. */
export class Bounce implements Subject {
  readonly addresses: readonly number[];
  readonly #reads: boolean;
  readonly #buffers: readonly Buffer[];
  readonly #slots: readonly Buffer[];
  readonly #region: MemoryRegion;

  constructor(pd: ProtectionDomain, { buffers }: Messages, { operation, window, bytes }: Flow) {
    this.#reads = operation === 'read';
    this.#buffers = buffers;
    const memory = Buffer.alloc(window * bytes);
    this.#slots = Array.from({ length: window }, (_, n) => memory.subarray(n * bytes, (n + 1) * bytes));
    this.addresses = this.#slots.map((slot) => addressOf(slot));
    this.#region = pd.register(addressOf(memory), memory.length, Access.LOCAL_WRITE);
  }

  begin(n: number): number {
    if (!this.#reads) this.#slots[n % this.#slots.length].set(this.#buffers[n % this.#buffers.length]);
    return this.#region.lkey;
  }

  end(n: number): void {
    if (this.#reads) this.#buffers[n % this.#buffers.length].set(this.#slots[n % this.#slots.length]);
  }

  close(): void {
    this.#region.close();
  }
}
