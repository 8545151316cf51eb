import { pageOf } from '../memory/pages.js';
import { PAGE_SIZE } from '../system/libc.js';
import type { Entry } from './registration.js';
import { PageTable } from './page-table.js';

/** The usual answer. */
const NONE: readonly Entry[] = [];

/**
 * Which registration serves which pages. Registrations may overlap but never contain one another, so that sorted by
 * start they are sorted by end too. Each page belongs to the one that starts last among those that cover it, which is
 * also the one that reaches furthest: if any registration covers a request, the one at its first page does.
 */
export class Coverage {
  readonly #table = new PageTable<Entry>();
  /** The neighbours that share pages with an entry, as few have them: the one that begins before it, and after it. */
  readonly #previous = new Map<Entry, Entry>();
  readonly #next = new Map<Entry, Entry>();

  /**
   * The registration that covers a page and reaches furthest, if that is known at once: where it begins, and where it was
   * found before.
   * @param page its number; a fraction does not matter
   */
  quicklyAtPage(page: number): Entry | undefined {
    return this.#table.quick(page);
  }

  /** The registration that covers all bytes from `start` (inclusive) to `end` (exclusive), if there is one. */
  find(start: number, end: number): Entry | undefined {
    const entry = this.#table.get(start / PAGE_SIZE);
    return entry !== undefined && end <= entry.end ? entry : undefined;
  }

  /** The registrations that lie wholly between `start` and `end` (exclusive), by rising start. */
  within(start: number, end: number): readonly Entry[] {
    const after = Math.ceil(end / PAGE_SIZE);
    let page = this.#table.seek(pageOf(start), after);
    if (page === after) return NONE;
    const found: Entry[] = [];
    while (page < after) {
      const entry = this.#table.get(page)!;
      if (entry.start >= start && entry.end <= end) found.push(entry);
      page = this.#table.seek(this.#endOfPages(entry), after);
    }
    return found;
  }

  /** The registrations that share a byte with `start` to `end` (exclusive). */
  overlapping(start: number, end: number): Entry[] {
    const found: Entry[] = [];
    const after = Math.ceil(end / PAGE_SIZE);
    let page = this.#table.seek(pageOf(start), after);
    if (page === after) return found;
    // Those that begin further ahead may have lost all their pages here to ones that begin later.
    let ahead = this.#previous.get(this.#table.get(page)!);
    for (; ahead !== undefined && ahead.end > start; ahead = this.#previous.get(ahead)) found.push(ahead);
    while (page < after) {
      const entry = this.#table.get(page)!;
      found.push(entry);
      page = this.#table.seek(this.#endOfPages(entry), after);
    }
    return found;
  }

  /** Insert an entry that no other contains and that contains no other; the caller has removed those. */
  insert(entry: Entry): void {
    const first = pageOf(entry.start);
    const end = pageOf(entry.end);
    const previous = this.#table.get(first);
    // What begins behind the previous one's pages begins behind our first page, too.
    const page = this.#table.seek(previous === undefined ? first : this.#endOfPages(previous), end);
    const next = page < end ? this.#table.get(page) : undefined;
    if (previous !== undefined) this.#link(previous, entry);
    if (next !== undefined) this.#link(entry, next);
    this.#table.fill(first, page, entry);
  }

  /** Take an entry out and give the pages it shares back to the neighbour that covers them too. */
  remove(entry: Entry): void {
    const previous = this.#previous.get(entry);
    const next = this.#next.get(entry);
    const first = pageOf(entry.start);
    const end = this.#endOfPages(entry);
    const shared = previous === undefined ? first : Math.min(Math.max(pageOf(previous.end), first), end);
    if (previous !== undefined) this.#table.fill(first, shared, previous);
    this.#table.fill(shared, end, undefined);
    if (previous !== undefined) this.#unlink(previous, entry);
    if (next !== undefined) this.#unlink(entry, next);
    if (previous !== undefined && next !== undefined && previous.end > next.start) this.#link(previous, next);
  }

  #link(left: Entry, right: Entry): void {
    this.#next.set(left, right);
    this.#previous.set(right, left);
  }

  #unlink(left: Entry, right: Entry): void {
    this.#next.delete(left);
    this.#previous.delete(right);
  }

  /** The page after the last that belongs to the entry; the next one may share the rest. */
  #endOfPages(entry: Entry): number {
    const next = this.#next.get(entry);
    return pageOf(next === undefined ? entry.end : Math.min(next.start, entry.end));
  }

  /** Nodes of the page table in use: 0 when nothing is covered. */
  get nodes(): number {
    return this.#table.nodes;
  }
}
