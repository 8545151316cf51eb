import { PAGE_SIZE } from '../system/libc.js';

/** A range that somebody watches. */
export interface Watch {
  readonly cookie: number;
  /** What is reported on; bytes, end exclusive. */
  readonly start: number;
  readonly end: number;
  /** What was asked of the kernel, which may be more: whole huge pages. */
  readonly from: number;
  readonly to: number;
  /** The span of it that is not watched any more since its mapping went; empty when both are 0. */
  goneFrom: number;
  goneTo: number;
  /** To be reported by the next drain. */
  pending: boolean;
  /** The span that was hit since it was last reported. */
  hitStart: number;
  hitEnd: number;
}

/**
 * Watches, by cookie and by address. They may overlap. Those of similar length are in one table, by where they begin:
 * what overlaps a range begins in it or at most one cell before it, so that a query looks at few cells of each table.
 */
export class WatchedRanges {
  readonly #byCookie = new Map<number, Watch>();
  /** By the exponent of the cell size, a power of two. */
  readonly #tables = new Map<number, Map<number, Watch[]>>();

  get(cookie: number): Watch | undefined {
    return this.#byCookie.get(cookie);
  }

  all(): Iterable<Watch> {
    return this.#byCookie.values();
  }

  add(watch: Watch): void {
    this.#byCookie.set(watch.cookie, watch);
    const exponent = exponentFor(watch);
    let table = this.#tables.get(exponent);
    if (table === undefined) this.#tables.set(exponent, (table = new Map<number, Watch[]>()));
    const cell = Math.floor(watch.from / 2 ** exponent);
    const watches = table.get(cell);
    if (watches === undefined) table.set(cell, [watch]);
    else watches.push(watch);
  }

  remove(watch: Watch): void {
    this.#byCookie.delete(watch.cookie);
    const exponent = exponentFor(watch);
    const table = this.#tables.get(exponent)!;
    const cell = Math.floor(watch.from / 2 ** exponent);
    const watches = table.get(cell)!;
    watches.splice(watches.indexOf(watch), 1);
    if (watches.length !== 0) return;
    table.delete(cell);
    if (table.size === 0) this.#tables.delete(exponent);
  }

  /** Those of which the kernel was asked to watch something in a range. */
  overlapping(start: number, end: number): Watch[] {
    const found: Watch[] = [];
    const look = (watches: readonly Watch[] | undefined): void => {
      if (watches === undefined) return;
      for (const watch of watches) if (watch.from < end && watch.to > start) found.push(watch);
    };
    for (const [exponent, table] of this.#tables) {
      const size = 2 ** exponent;
      const first = Math.floor(start / size) - 1;
      const last = Math.floor((end - 1) / size);
      if (last - first >= table.size) for (const watches of table.values()) look(watches);
      else for (let cell = first; cell <= last; cell++) look(table.get(cell));
    }
    return found;
  }

  /** The parts of a range that no watch needs, in order. */
  unneeded(start: number, end: number): [start: number, end: number][] {
    const needed = this.overlapping(start, end).flatMap(stillWatched);
    needed.sort(([a], [b]) => a - b);
    const gaps: [number, number][] = [];
    let at = start;
    for (const [from, to] of needed) {
      if (from > at) gaps.push([at, Math.min(from, end)]);
      at = Math.max(at, to);
      if (at >= end) break;
    }
    if (at < end) gaps.push([at, end]);
    return gaps;
  }
}

/** What of a watch the kernel still watches for it. */
export function stillWatched({ from, to, goneFrom, goneTo }: Watch): [start: number, end: number][] {
  if (goneTo === 0) return [[from, to]];
  const parts: [number, number][] = [
    [from, Math.min(goneFrom, to)],
    [Math.max(goneTo, from), to],
  ];
  return parts.filter(([start, end]) => start < end);
}

/** Cells that are no shorter than the watch. */
const exponentFor = ({ from, to }: Watch): number => Math.ceil(Math.log2(Math.max(to - from, PAGE_SIZE)));
