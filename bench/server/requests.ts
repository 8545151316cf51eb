import { xorshift32 } from '../random.js';
import { STAMP_BYTES } from './value.js';

/** Sizes of values, bytes. */
const LEAST = 1024;
export const MOST = 256 * 1024;
/** How much more popular keys are than others: that of the Yahoo! Cloud Serving Benchmark (Cooper et al., 2010). */
const ZIPF = 0.99;

export interface Request {
  /** Whether the value is replaced, by one of so many bytes; otherwise it is asked for. */
  readonly length: number | undefined;
  readonly key: number;
}

/** What clients ask for: the same for the same seed. */
export class Requests {
  #random: number;
  readonly #puts: number;
  /** For each key, how many of the requests are for it or one before it. */
  readonly #upTo: Float64Array;

  /** @param puts part of the requests that replace a value, from 0 to 1 */
  constructor(seed: number, keys: number, puts: number) {
    // Any but 0; and the first ones of small numbers are small.
    this.#random = (Math.imul(seed, 0x9e37_79b9) ^ 0x85eb_ca6b) >>> 0 || 1;
    this.#puts = puts;
    this.#upTo = cumulative(Float64Array.from({ length: keys }, (_, rank) => (rank + 1) ** -ZIPF));
  }

  next(): Request {
    const key = this.#key();
    return { key, length: this.#part() < this.#puts ? this.length() : undefined };
  }

  /** Of a new value, in bytes: of each order of magnitude as many. */
  length(): number {
    return Math.round((LEAST * (MOST / LEAST) ** this.#part()) / STAMP_BYTES) * STAMP_BYTES;
  }

  #key(): number {
    const part = this.#part();
    let [from, to] = [0, this.#upTo.length - 1];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#upTo[middle] > part) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  /** From 0 to 1, exclusive. */
  #part(): number {
    this.#random = xorshift32(this.#random);
    return this.#random / 2 ** 32;
  }
}

function cumulative(weights: Float64Array): Float64Array {
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  return weights.map((weight) => (sum += weight / all));
}
