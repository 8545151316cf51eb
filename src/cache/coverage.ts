import { PAGES_PER_BYTE, pageOf } from '../memory/pages.js';
import { PAGE_SIZE } from '../system/libc.js';
import { type Entry, LOW_BITS } from './registration.js';
import { PageTable } from './page-table.js';
import type { Slots } from './slots.js';

/**
 * Which registration serves which pages. Registrations may overlap but never contain one another, so that sorted by
 * start they are sorted by end too. Each page belongs to the one that starts last among those that cover it, which is
 * also the one that reaches furthest: if any registration covers a request, the one at its first page does.
 */
export class Coverage {
  readonly #table = new PageTable();
  readonly #entries: readonly (Entry | undefined)[];

  constructor({ entries }: Slots) {
    this.#entries = entries;
  }

  /** The registration that covers all bytes from `start` (inclusive) to `end` (exclusive), if there is one. */
  find(start: number, end: number): Entry | undefined {
    const page = pageOf(start);
    const entry = this.#entries[this.#table.get(page)];
    if (entry === undefined) return undefined;
    // In small integers, of the last 31 bits: exact enough for all but the largest, and never too much.
    const left = (entry.endPage - (page | 0)) & LOW_BITS;
    return end * PAGES_PER_BYTE - page <= left || end <= entry.end ? entry : undefined;
  }

  /** The registrations that lie wholly between `start` and `end` (exclusive), by rising start. */
  within(start: number, end: number): Entry[] {
    const found: Entry[] = [];
    const after = Math.ceil(end / PAGE_SIZE);
    let page = this.#table.seek(pageOf(start), after);
    while (page < after) {
      const entry = this.#at(page)!;
      if (entry.start >= start && entry.end <= end) found.push(entry);
      page = this.#table.seek(endOfPages(entry), after);
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
    let ahead = this.#at(page)!.previous;
    for (; ahead !== undefined && ahead.end > start; ahead = ahead.previous) found.push(ahead);
    while (page < after) {
      const entry = this.#at(page)!;
      found.push(entry);
      page = this.#table.seek(endOfPages(entry), after);
    }
    return found;
  }

  /** Insert an entry that no other contains and that contains no other; the caller has removed those. */
  insert(entry: Entry): void {
    const first = pageOf(entry.start);
    const end = pageOf(entry.end);
    const previous = this.#at(first);
    // What begins behind the previous one's pages begins behind our first page, too.
    const page = this.#table.seek(previous === undefined ? first : endOfPages(previous), end);
    const next = page < end ? this.#at(page) : undefined;
    link(previous, entry);
    link(entry, next);
    this.#table.fill(first, page, entry.slot);
  }

  /** Take an entry out and give the pages it shares back to the neighbour that covers them too. */
  remove(entry: Entry): void {
    const { previous, next } = entry;
    const first = pageOf(entry.start);
    const end = endOfPages(entry);
    const shared = previous === undefined ? first : Math.min(Math.max(pageOf(previous.end), first), end);
    if (previous !== undefined) this.#table.fill(first, shared, previous.slot);
    this.#table.fill(shared, end, 0);
    entry.previous = entry.next = undefined;
    if (previous !== undefined && next !== undefined && previous.end > next.start) link(previous, next);
    else {
      if (previous !== undefined) previous.next = undefined;
      if (next !== undefined) next.previous = undefined;
    }
  }

  /** Nodes of the page table in use: 0 when nothing is covered. */
  get nodes(): number {
    return this.#table.nodes;
  }

  #at(page: number): Entry | undefined {
    const slot = this.#table.get(page);
    return slot === 0 ? undefined : this.#entries[slot];
  }
}

/** The page after the last that belongs to the entry; the next one may share the rest. */
function endOfPages({ end, next }: Entry): number {
  return pageOf(next === undefined ? end : Math.min(next.start, end));
}

function link(left: Entry | undefined, right: Entry | undefined): void {
  if (left !== undefined) left.next = right;
  if (right !== undefined) right.previous = left;
}
