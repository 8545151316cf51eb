import { Access, REMOTE_ACCESS } from '../access.js';
import { Coverage } from './coverage.js';
import { ExactTable } from './exact-table.js';
import { type Entry, PENDING, UNCACHED } from './registration.js';
import type { Slots } from './slots.js';

/** Which registrations there are, and which of them serve what. */
export class Lookup {
  readonly #slots: Slots;
  /** Registrations with LOCAL_WRITE alone, by far the most. */
  readonly writable: Coverage;
  /** Registrations that only this process uses, by access. */
  readonly #local: Map<number, Coverage>;
  /** Registrations that a peer can reach. */
  readonly #exact = new ExactTable();
  /** Registrations that serve nobody yet or any more, or only who made them, and are not gone yet. */
  readonly #loose = new Set<Entry>();

  constructor(slots: Slots) {
    this.#slots = slots;
    this.writable = new Coverage(slots);
    this.#local = new Map([[Access.LOCAL_WRITE, this.writable]]);
  }

  /** A registration that serves a request for `start` to `end` (exclusive). */
  find(start: number, end: number, access: number): Entry | undefined {
    if ((access & REMOTE_ACCESS) !== 0) return this.#exact.find(start, end, access);
    const found = this.#local.get(access)?.find(start, end);
    if (found !== undefined || access !== Access.NONE) return found;
    return this.writable.find(start, end);
  }

  /** Make an entry one that is found, or, if it is still being made or for one acquire, one that is not. */
  insert(entry: Entry): void {
    if ((entry.flags & (PENDING | UNCACHED)) !== 0) this.#loose.add(entry);
    else this.#tableOf(entry).insert(entry);
  }

  /** An entry that was being made is made, to be inserted again. */
  made(entry: Entry): void {
    this.#loose.delete(entry);
  }

  /** Take an entry that was inserted out of lookup; it stays until it is gone. */
  retire(entry: Entry): void {
    if ((entry.flags & UNCACHED) === 0) this.#tableOf(entry).remove(entry);
    this.#loose.add(entry);
  }

  /** An entry was deregistered. */
  gone(entry: Entry): void {
    this.#loose.delete(entry);
  }

  /** Those for local use that lie wholly between `start` and `end` (exclusive) and serve nothing that `access` does not. */
  within(start: number, end: number, access: number): Entry[] {
    const contained = this.#local.get(access)?.within(start, end) ?? [];
    if (access !== Access.LOCAL_WRITE) return contained;
    return contained.concat(this.#local.get(Access.NONE)?.within(start, end) ?? []);
  }

  /** Those for local use with just this access that share a byte with `start` to `end` (exclusive). */
  sharing(start: number, end: number, access: number): Entry[] {
    return this.#local.get(access)?.overlapping(start, end) ?? [];
  }

  /** All that pin a byte of `start` to `end` (exclusive), found or not. */
  overlapping(start: number, end: number): Entry[] {
    const found = this.#exact.overlapping(start, end);
    for (const coverage of this.#local.values()) found.push(...coverage.overlapping(start, end));
    for (const entry of this.#loose) if (entry.start < end && entry.end > start) found.push(entry);
    return found;
  }

  #tableOf({ access }: Entry): Coverage | ExactTable {
    if ((access & REMOTE_ACCESS) !== 0) return this.#exact;
    let coverage = this.#local.get(access);
    if (coverage === undefined) this.#local.set(access, (coverage = new Coverage(this.#slots)));
    return coverage;
  }
}
