import type { Entry } from './registration.js';

/** Registrations that a peer can reach, found only by exactly their own bytes. */
export class ExactTable {
  readonly #byStart = new Map<number, Entry[]>();

  /** An entry for exactly these bytes and rights: more than was asked for would let a peer do more. */
  find(start: number, end: number, access: number): Entry | undefined {
    return this.#byStart.get(start)?.find((entry) => entry.end === end && entry.access === access);
  }

  /** The registrations that share a byte with `start` to `end` (exclusive). */
  overlapping(start: number, end: number): Entry[] {
    return [...this.#byStart.values()].flat().filter((entry) => entry.start < end && entry.end > start);
  }

  insert(entry: Entry): void {
    const entries = this.#byStart.get(entry.start);
    if (entries === undefined) this.#byStart.set(entry.start, [entry]);
    else entries.push(entry);
  }

  remove(entry: Entry): void {
    const entries = this.#byStart.get(entry.start)!;
    if (entries.length === 1) this.#byStart.delete(entry.start);
    else entries.splice(entries.indexOf(entry), 1);
  }
}
