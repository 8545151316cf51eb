import { regcacheError } from '../errors.js';
import { Entry, type Keeper } from './registration.js';

/** Slots are below this, so that a cookie fits into a number: slot + generation * SLOTS < 2^53. */
const SLOTS = 2 ** 24;
const GENERATIONS = 2 ** 29;

/** Room at the start, and by what part it grows. */
const ROOM = 64;
const GROWTH = 1.25;

/**
 * All registrations that exist, by slot. A cookie is a slot and a generation, so that an event for a registration
 * that is gone cannot hit the next one in its slot.
 */
export class Slots {
  readonly #entries: (Entry | undefined)[] = [];
  /** The monitor's word for each slot when its entry was watched. */
  words = new Int32Array(ROOM);
  readonly #free: number[] = [];
  /** Of each slot, the generation of its entry. */
  #generations = new Int32Array(ROOM);

  /** Bytes from `start` (inclusive) to `end` (exclusive). */
  create(keeper: Keeper, start: number, end: number, access: number): Entry {
    const slot = this.#free.pop() ?? this.#entries.length;
    if (slot >= SLOTS) {
      throw regcacheError('ERR_REGISTRATION_FAILED', `there are ${SLOTS} registrations: no cache holds more`);
    }
    if (slot === this.words.length) this.#grow();
    const entry = new Entry(keeper, start, end, access, slot);
    this.#entries[slot] = entry;
    return entry;
  }

  /** What the monitor calls an entry; no entry after it is called the same. */
  cookieOf({ slot }: Entry): number {
    return this.#generations[slot] * SLOTS + slot;
  }

  /** The entry watched under this cookie, unless it is gone. */
  byCookie(cookie: number): Entry | undefined {
    const entry = this.#entries[cookie % SLOTS];
    return entry !== undefined && this.cookieOf(entry) === cookie ? entry : undefined;
  }

  /** The cookie of the entry must no longer be watched. */
  free({ slot }: Entry): void {
    this.#entries[slot] = undefined;
    this.#generations[slot] = (this.#generations[slot] + 1) % GENERATIONS;
    this.#free.push(slot);
  }

  #grow(): void {
    const room = Math.ceil(this.words.length * GROWTH);
    const [words, generations] = [this.words, this.#generations];
    this.words = new Int32Array(room);
    this.words.set(words);
    this.#generations = new Int32Array(room);
    this.#generations.set(generations);
  }

  *all(): Generator<Entry> {
    for (const entry of this.#entries) if (entry !== undefined) yield entry;
  }
}
