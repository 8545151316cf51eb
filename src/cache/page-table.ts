import { BitSet } from './bit-set.js';

/** Cells of a node. With pages of 4 KiB the cells of the three kinds of nodes stand for 4 KiB, 2 MiB and 1 GiB. */
const NODE = 512;
const NODE_BITS = 9;
/** Pages that a cell of the root stands for, in bits; with 8192 cells all page numbers up to 2^40 have a place. */
const ROOT_BITS = 3 * NODE_BITS;
const ROOT = 16 * NODE;
/** Lines that remember nodes of the lowest kind, one for each 2 MiB: enough for 16 GiB at a time. */
const LINES = 8192;
/** Of no block. */
const NO_BLOCK = -1;
/** Below this many cells nothing is to be gained by giving memory back. */
const SMALL = ROOT + 8 * NODE;
/** From so many on (16 MiB) memory counts for more than time. */
const LARGE = 2 ** 21;
/** V8 makes a hash table of a longer array that is asked for at once (kMaxFastArrayLength of js-array.h). */
const LONGEST = 32 * 1024 * 1024;

/** What a block of pages is given to, or the place of the node that divides the block. */
type Cell<T> = T | number | undefined;

/**
 * From page number to the object, a registration, that the page is given to.
 *
 * A radix tree in one array. A cell holds what the whole of its block is given to, or where the node begins that divides
 * the block; so a large registration needs few cells. Of cells in a row that are given to the same object only the first
 * need hold it: a cell that is taken and holds nothing is given to whom the one before it is given to. So many pages are
 * given away at the cost of few. Whoever is found so is put into the cell, and found at once from then on. The first cell
 * of a node, if it is taken, always holds something, and no node but the root has all its cells alike.
 *
 * The objects themselves are in the cells, as each place in memory that a look-up visits may be one that no processor has
 * near. Page numbers may have more than 32 bits: bitwise operators take the lowest.
 */
export class PageTable<T extends object> {
  #cells: Cell<T>[] = cells(SMALL);
  /** Cells whose block is given to somebody, or divided. */
  #taken = new BitSet(SMALL);
  /** Cells that are not undefined: those that are taken and say themselves what for. */
  #saying = new BitSet(SMALL);
  /** Pairs: a block of 512 pages, and the node that divides it. Saves most of the way down from the root. */
  readonly #lines = new Int32Array(2 * LINES).fill(NO_BLOCK);
  /** What the cell that was found last stands for: 2^bits pages. */
  #bits = 0;
  /** Nodes have come or gone in the present fill. */
  #moved = false;
  /** Where the next new node goes, unless one has become free. */
  #end = ROOT;
  #free: number[] = [];

  /**
   * Whom a page is given to, if its cell says so; undefined also where only the cells before it do.
   * @param page from 0 to 2^40; a fraction does not matter
   */
  quick(page: number): T | undefined {
    // Wrapped for blocks from 2^31 on: still another for each.
    const block = (page * (1 / NODE)) | 0;
    const line = (block & (LINES - 1)) << 1;
    const found =
      this.#lines[line] === block
        ? this.#cells[this.#lines[line + 1] + (page & (NODE - 1))]
        : this.#cells[this.#descend(page)];
    return found as T | undefined;
  }

  /** Whom a page is given to. @param page as for `quick` */
  get(page: number): T | undefined {
    const at = this.#descend(page);
    if (this.#cells[at] === undefined) this.#say(at);
    return this.#cells[at] as T | undefined;
  }

  /** The place of the cell of a page, or of the undivided block that it is in. */
  #descend(page: number): number {
    let bits = ROOT_BITS;
    let at = (page / 2 ** ROOT_BITS) | 0;
    for (let cell = this.#cells[at]; typeof cell === 'number'; cell = this.#cells[at]) {
      bits -= NODE_BITS;
      at = cell + ((page >> bits) & (NODE - 1));
    }
    this.#bits = bits;
    if (bits === 0) {
      const block = (page * (1 / NODE)) | 0;
      const line = (block & (LINES - 1)) << 1;
      this.#lines[line] = block;
      this.#lines[line + 1] = at & -NODE;
    }
    return at;
  }

  /** The first page given to anybody from `page` on, or `end` if there is none before it. */
  seek(page: number, end: number): number {
    while (page < end) {
      const at = this.#descend(page);
      const nodeEnd = at < ROOT ? ROOT : (at & -NODE) + NODE;
      const taken = this.#taken.first(at, nodeEnd);
      if (taken === at) return page;
      // Beyond the end of the node another begins.
      const span = 1 << this.#bits;
      page = (Math.floor(page / span) + taken - at) * span;
    }
    return end;
  }

  /** Give the pages from `first` (inclusive) to `end` (exclusive) to `whom`, undefined for nobody. */
  fill(first: number, end: number, whom: T | undefined): void {
    if (first >= end) return;
    this.#fillNode(0, ROOT_BITS, first, end, whom);
    if (this.#moved) this.#forget(first, end);
    if (this.nodes === 0 && this.#cells.length > SMALL) this.#shrink();
  }

  /** Nodes come and go only where pages are given away. */
  #forget(first: number, end: number): void {
    this.#moved = false;
    const block = Math.floor(first / NODE);
    const blocks = Math.ceil(end / NODE) - block;
    if (blocks >= LINES) this.#lines.fill(NO_BLOCK);
    else for (let n = 0; n < blocks; n++) this.#lines[((block + n) & (LINES - 1)) << 1] = NO_BLOCK;
  }

  /** A part of a node whose cells stand for 2^bits pages each; pages are counted from its first. */
  #fillNode(node: number, bits: number, first: number, end: number, whom: T | undefined): void {
    const span = 1 << bits;
    const whole = Math.ceil(first / span);
    const last = Math.floor(end / span);
    const [before, after] = [whole * span, last * span];
    if (whole > last) {
      this.#fillPart(node + last, bits, first - after, end - after, whom);
      return;
    }
    if (first < before) this.#fillPart(node + whole - 1, bits, first - (before - span), span, whom);
    if (whole < last) this.#fillCells(node + whole, node + last, bits, whom);
    if (end > after) this.#fillPart(node + last, bits, 0, end - after, whom);
  }

  /** A part of the block of 2^bits pages that the cell at `at` stands for. */
  #fillPart(at: number, bits: number, first: number, end: number, whom: T | undefined): void {
    this.#say(at);
    const cell = this.#cells[at];
    if (cell === whom) return;
    const node = typeof cell === 'number' ? cell : this.#divide(at, cell);
    this.#fillNode(node, bits - NODE_BITS, first, end, whom);
    if (this.#isAll(node, whom)) this.#fillCells(at, at + 1, bits, whom);
  }

  /** Cells of the same node, from `from` (inclusive) to `to` (exclusive), that stand for 2^bits pages each. */
  #fillCells(from: number, to: number, bits: number, whom: T | undefined): void {
    this.#say(to);
    const cells = this.#cells;
    for (let at = this.#saying.first(from, to); at < to; at = this.#saying.first(at + 1, to)) {
      const cell = cells[at];
      cells[at] = undefined;
      if (typeof cell === 'number') this.#release(cell, bits - NODE_BITS);
    }
    this.#saying.deleteAll(from, to);
    if (whom === undefined) this.#taken.deleteAll(from, to);
    else {
      this.#taken.addAll(from, to);
      this.#put(from, whom);
    }
  }

  /** Have a cell itself say what it is given to, before what is before it is given to another. */
  #say(at: number): void {
    if (at >= this.#cells.length || this.#saying.has(at) || !this.#taken.has(at)) return;
    this.#put(at, this.#cells[this.#saying.lastBefore(at)]!);
  }

  #put(at: number, cell: T | number): void {
    this.#saying.add(at);
    this.#cells[at] = cell;
  }

  #isAll(node: number, whom: T | undefined): boolean {
    const end = node + NODE;
    if (whom === undefined) return this.#taken.first(node, end) === end;
    if (!this.#taken.hasAll(node, end)) return false;
    for (let at = node; at < end; at = this.#saying.first(at + 1, end))
      if (this.#cells[at] !== whom) return false;
    return true;
  }

  /** Put a node in the place of a cell, each of its own cells being given to whom that was. */
  #divide(at: number, was: T | undefined): number {
    const node = this.#free.pop() ?? this.#end;
    this.#moved = true;
    if (node === this.#end) {
      if (node === this.#cells.length) this.#grow();
      this.#end += NODE;
    }
    // A new or free one holds nothing already.
    if (was !== undefined) this.#fillCells(node, node + NODE, 0, was);
    this.#say(at + 1);
    this.#taken.add(at);
    this.#put(at, node);
    return node;
  }

  /** Free a node whose cells stand for 2^bits pages each, and those below it. */
  #release(node: number, bits: number): void {
    this.#fillCells(node, node + NODE, bits, undefined);
    this.#free.push(node);
    this.#moved = true;
  }

  #grow(): void {
    // Twice as large, as each is copied to the next, or by a quarter where most of a large cache's memory is here.
    const growth = this.#cells.length < LARGE ? 2 : 1.25;
    const length = Math.ceil((this.#cells.length / NODE) * growth) * NODE;
    const [old, saying] = [this.#cells, this.#saying];
    const grown = cells<T>(length);
    for (let at = saying.first(0, old.length); at < old.length; at = saying.first(at + 1, old.length)) {
      grown[at] = old[at];
    }
    // All or none of them, should there be no memory.
    const [takenAfter, sayingAfter] = [new BitSet(length, this.#taken), new BitSet(length, saying)];
    [this.#cells, this.#taken, this.#saying] = [grown, takenAfter, sayingAfter];
  }

  /** Give back memory when nothing but the root is in use. */
  #shrink(): void {
    this.#cells = this.#cells.slice(0, SMALL);
    this.#taken = new BitSet(SMALL, this.#taken);
    this.#saying = new BitSet(SMALL, this.#saying);
    this.#free = [];
    this.#end = ROOT;
  }

  /** Nodes in use besides the root, for a dump and for tests of leaks. */
  get nodes(): number {
    return (this.#end - ROOT) / NODE - this.#free.length;
  }

  /** Cells that there is memory for. */
  get size(): number {
    return this.#cells.length;
  }
}

/** So many cells that are undefined. */
function cells<T>(length: number): Cell<T>[] {
  const made = new Array<Cell<T>>(Math.min(length, LONGEST)).fill(undefined);
  while (made.length < length) made.push(undefined);
  return made;
}
