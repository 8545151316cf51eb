import { Access, REMOTE_ACCESS } from '../access.js';
import { Coverage } from './coverage.js';
import { ExactTable } from './exact-table.js';
import { type Entry, PENDING, UNCACHED } from './registration.js';

/** Which registrations there are, and which of them serve what. */
export class Lookup {
  /** Registrations with LOCAL_WRITE alone, by far the most. */
  readonly writable = new Coverage();
  /** Registrations that only this process uses, by access. */
  readonly #local = new Map([[Access.LOCAL_WRITE, this.writable]]);
  /** Registrations that a peer can reach. */
  readonly #exact = new ExactTable();
  /** Registrations that are being made, or in use and serve nobody, or nobody else. */
  readonly #loose = new Set<Entry>();

  /** A registration that serves a request for `start` to `end` (exclusive). */
  find(start: number, end: number, access: number): Entry | undefined {
    if ((access & REMOTE_ACCESS) !== 0) return this.#exact.find(start, end, access);
    const found = this.#localOf(access)?.find(start, end);
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

  /** Take an entry that was inserted out of lookup. One that is in use stays until it is gone. */
  retire(entry: Entry): void {
    if ((entry.flags & UNCACHED) === 0) this.#tableOf(entry).remove(entry);
    if (entry.uses !== 0) this.#loose.add(entry);
  }

  /** An entry is gone, or as good as. */
  gone(entry: Entry): void {
    if (this.#loose.size !== 0) this.#loose.delete(entry);
  }

  /**
   * Those for local use that lie wholly between `start` and `end` (exclusive) and serve nothing that `access` does not.
   */
  within(start: number, end: number, access: number): readonly Entry[] {
    const contained = this.#localOf(access)?.within(start, end) ?? [];
    const readable = access === Access.LOCAL_WRITE ? this.#local.get(Access.NONE) : undefined;
    return readable === undefined ? contained : contained.concat(readable.within(start, end));
  }

  /** Those for local use with just this access that share a byte with `start` to `end` (exclusive). */
  sharing(start: number, end: number, access: number): Entry[] {
    return this.#localOf(access)?.overlapping(start, end) ?? [];
  }

  /** All that are found, or in use, and pin a byte of `start` to `end` (exclusive). */
  overlapping(start: number, end: number): Entry[] {
    // Not pushed all at once: there may be more than a call has room for arguments.
    return this.#exact.overlapping(start, end).concat(
      ...[...this.#local.values()].map((coverage) => coverage.overlapping(start, end)),
      [...this.#loose].filter((entry) => entry.start < end && entry.end > start),
    );
  }

  #localOf(access: number): Coverage | undefined {
    // Without a look into the map for the usual ones.
    return access === Access.LOCAL_WRITE ? this.writable : this.#local.get(access);
  }

  #tableOf({ access }: Entry): Coverage | ExactTable {
    if ((access & REMOTE_ACCESS) !== 0) return this.#exact;
    let coverage = this.#localOf(access);
    if (coverage === undefined) this.#local.set(access, (coverage = new Coverage()));
    return coverage;
  }
}
