import type { RegistrationCache } from '../cache/cache.js';
import type { Registration } from '../cache/registration.js';
import { allocatePageAligned } from '../memory/allocate.js';
import { addressOf } from '../memory/locate.js';
import type { Segment } from './work.js';

const BYTES = 8;

/** Where the values that atomics found are written: 8 bytes for each that is posted, registered at the first. */
export class AtomicResults {
  readonly #cache: RegistrationCache;
  readonly #count: number;
  readonly #free: number[] = [];
  #memory: Buffer | undefined;
  #address = 0;
  #registration: Registration | undefined;

  /** @param count how many may be taken at a time */
  constructor(cache: RegistrationCache, count: number) {
    this.#cache = cache;
    this.#count = count;
  }

  /** @throws what an acquire of the cache throws */
  take(): number {
    if (this.#memory === undefined) {
      const memory = allocatePageAligned(this.#count * BYTES);
      this.#registration = this.#cache.acquireUncached(memory);
      this.#memory = memory;
      this.#address = addressOf(memory);
      for (let slot = this.#count; slot-- > 0;) this.#free.push(slot);
    }
    return this.#free.pop()!;
  }

  giveBack(slot: number): void {
    this.#free.push(slot);
  }

  segment(slot: number): Segment {
    return { address: this.#address + slot * BYTES, length: BYTES, lkey: this.#registration!.lkey };
  }

  value(slot: number): bigint {
    return this.#memory!.readBigUInt64LE(slot * BYTES);
  }

  /** To be called when the device has let go of them. */
  end(): void {
    this.#registration?.release();
    this.#registration = undefined;
  }
}
