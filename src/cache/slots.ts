import { regcacheError } from '../errors.js';
import { Entry, type Keeper } from './registration.js';

/** Slots are below this, so that a cookie fits into a number: slot + generation * SLOTS < 2^53. */
const SLOTS = 2 ** 24;
const GENERATIONS = 2 ** 29;

/**
 * All registrations that exist, by slot. A cookie is a slot and a generation, so that an event for a registration
 * that is gone cannot hit the next one in its slot.
 */
export class Slots {
  /** Slot 0 stays empty: in the page table it means none. */
  readonly entries: (Entry | undefined)[] = [undefined];
  /** Where each ends (exclusive), beside the entries: a look-up need not touch an entry that does not serve it. */
  readonly ends: number[] = [0];
  readonly #free: number[] = [];
  /** Of each slot, the generation of its next entry. */
  readonly #generations: number[] = [0];

  /** Bytes from `start` (inclusive) to `end` (exclusive). */
  create(keeper: Keeper, start: number, end: number, access: number): Entry {
    const slot = this.#free.pop() ?? this.entries.length;
    if (slot >= SLOTS) {
      throw regcacheError(
        'ERR_REGISTRATION_FAILED',
        `there are ${SLOTS - 1} registrations: no cache holds more`,
      );
    }
    const generation = this.#generations[slot] ?? 0;
    this.#generations[slot] = (generation + 1) % GENERATIONS;
    const entry = new Entry(keeper, start, end, access, slot, generation * SLOTS + slot);
    this.entries[slot] = entry;
    this.ends[slot] = end;
    return entry;
  }

  /** The entry watched under this cookie, unless it is gone. */
  byCookie(cookie: number): Entry | undefined {
    const entry = this.entries[cookie % SLOTS];
    return entry?.cookie === cookie ? entry : undefined;
  }

  /** The cookie of the entry must no longer be watched. */
  free(entry: Entry): void {
    this.entries[entry.slot] = undefined;
    this.#free.push(entry.slot);
  }

  *all(): Generator<Entry> {
    for (const entry of this.entries) if (entry !== undefined) yield entry;
  }
}
