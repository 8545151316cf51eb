/** Bits of a word. */
const WORD = 32;
const WORD_BITS = 5;

/** A set of numbers below a limit, for each of which it takes a bit. */
export class BitSet {
  readonly #words: Int32Array;

  /**
   * @param limit a multiple of 32
   * @param like what is in it at first, as far as it is below the limit
   */
  constructor(limit: number, like?: BitSet) {
    this.#words = new Int32Array(limit / WORD);
    if (like !== undefined) this.#words.set(like.#words.subarray(0, this.#words.length));
  }

  has(number: number): boolean {
    return ((this.#words[number >> WORD_BITS] >> (number & (WORD - 1))) & 1) !== 0;
  }

  add(number: number): void {
    this.#words[number >> WORD_BITS] |= 1 << (number & (WORD - 1));
  }

  /** All from `from` (inclusive) to `to` (exclusive) are in it from now on. */
  addAll(from: number, to: number): void {
    for (let at = from; at < to; at = nextWord(at)) this.#words[at >> WORD_BITS] |= bits(at, to);
  }

  /** None from `from` (inclusive) to `to` (exclusive) is. */
  deleteAll(from: number, to: number): void {
    for (let at = from; at < to; at = nextWord(at)) this.#words[at >> WORD_BITS] &= ~bits(at, to);
  }

  /** Whether all from `from` (inclusive) to `to` (exclusive) are in it. */
  hasAll(from: number, to: number): boolean {
    for (let at = from; at < to; at = nextWord(at)) {
      if ((~this.#words[at >> WORD_BITS] & bits(at, to)) !== 0) return false;
    }
    return true;
  }

  /** The least in it from `from` (inclusive) to `to` (exclusive), or `to` if there is none. */
  first(from: number, to: number): number {
    for (let at = from; at < to; at = nextWord(at)) {
      const word = this.#words[at >> WORD_BITS] & bits(at, to);
      // The lowest bit alone, and how many are above it.
      if (word !== 0) return (at & -WORD) + (WORD - 1) - Math.clz32(word & -word);
    }
    return to;
  }

  /** The greatest in it that is less; there must be one. */
  lastBefore(number: number): number {
    let word = this.#words[number >> WORD_BITS] & ~(-1 << (number & (WORD - 1)));
    while (word === 0) {
      number = (number & -WORD) - 1;
      word = this.#words[number >> WORD_BITS];
    }
    return (number & -WORD) + (WORD - 1) - Math.clz32(word);
  }
}

/** Where the word begins that follows that of a number. */
const nextWord = (number: number): number => (number | (WORD - 1)) + 1;

/** The bits, in the word of `from`, of those from there to `to` (exclusive). */
function bits(from: number, to: number): number {
  const count = Math.min(to, nextWord(from)) - from;
  return (count === WORD ? -1 : (1 << count) - 1) << (from & (WORD - 1));
}
