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
 * the block; so a large registration needs few cells. No node has all its cells alike. The objects themselves are in the
 * cells, as each place in memory that a look-up visits may be one that no processor has near.
 * Page numbers may have more than 32 bits: bitwise operators take the lowest.
 */
export class PageTable<T extends object> {
  #cells: Cell<T>[] = cells(SMALL);
  /** Cells that are not undefined, of each node. */
  #used = new Uint16Array(SMALL / NODE);
  /** Pairs: a block of 512 pages, and the node that divides it. Saves most of the way down from the root. */
  readonly #lines = new Int32Array(2 * LINES).fill(NO_BLOCK);
  /** Nodes have come or gone in the present fill. */
  #moved = false;
  /** Where the next new node goes, unless one has become free. */
  #end = ROOT;
  #free: number[] = [];

  /** @param page from 0 to 2^40; a fraction does not matter */
  get(page: number): T | undefined {
    // Wrapped for blocks from 2^31 on: still another for each.
    const block = (page * (1 / NODE)) | 0;
    const line = (block & (LINES - 1)) << 1;
    return this.#lines[line] === block
      ? (this.#cells[this.#lines[line + 1] + (page & (NODE - 1))] as T | undefined)
      : this.#walk(page);
  }

  #walk(page: number): T | undefined {
    let bits = ROOT_BITS;
    let node = 0;
    let cell = this.#cells[(page / 2 ** ROOT_BITS) | 0];
    while (typeof cell === 'number') {
      bits -= NODE_BITS;
      node = cell;
      cell = this.#cells[node + ((page >> bits) & (NODE - 1))];
    }
    if (bits === 0) {
      const block = (page * (1 / NODE)) | 0;
      const line = (block & (LINES - 1)) << 1;
      this.#lines[line] = block;
      this.#lines[line + 1] = node;
    }
    return cell;
  }

  /** The first page given to anybody from `page` on, or `end` if there is none before it. */
  seek(page: number, end: number): number {
    while (page < end) {
      let bits = ROOT_BITS;
      let at = (page / 2 ** ROOT_BITS) | 0;
      let cell = this.#cells[at];
      while (typeof cell === 'number') {
        bits -= NODE_BITS;
        at = ((page >> bits) & (NODE - 1)) + cell;
        cell = this.#cells[at];
      }
      if (cell !== undefined) return page;
      const span = 1 << bits;
      page += span - (page & (span - 1));
      // On in a node of the lowest kind, without coming down to it again. Beyond a larger block another node begins.
      while (page < end && (page & (NODE - 1)) !== 0) {
        if (this.#cells[++at] !== undefined) return page;
        page++;
      }
    }
    return end;
  }

  /** Give the pages from `first` (inclusive) to `end` (exclusive) to `whom`, undefined for nobody. */
  fill(first: number, end: number, whom: T | undefined): void {
    const span = 2 ** ROOT_BITS;
    for (let page = first; page < end;) {
      const at = Math.floor(page / span);
      const until = Math.min(end, (at + 1) * span);
      this.#fill(at, ROOT_BITS, page - at * span, until - at * span, whom);
      page = until;
    }
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

  /** The same for the block of 2^bits pages that the cell at `at` stands for; pages are counted from its first. */
  #fill(at: number, bits: number, first: number, end: number, whom: T | undefined): void {
    const cell = this.#cells[at];
    if (end - first === 1 << bits) {
      this.#set(at, bits, whom);
    } else if (cell !== whom) {
      const node = typeof cell === 'number' ? cell : this.#divide(at, cell);
      const below = bits - NODE_BITS;
      if (below === 0) this.#fillPages(node, first, end, whom);
      else this.#fillBlocks(node, below, first, end, whom);
      if (this.#isAll(node, whom)) this.#set(at, bits, whom);
    }
  }

  /** A part of a node whose cells stand for 2^bits pages each. */
  #fillBlocks(node: number, bits: number, first: number, end: number, whom: T | undefined): void {
    for (let page = first; page < end;) {
      const index = page >> bits;
      const start = index << bits;
      const until = Math.min(end, start + (1 << bits));
      this.#fill(node + index, bits, page - start, until - start, whom);
      page = until;
    }
  }

  /** A part of a node of the lowest kind: most of the work for a registration of many small pages. */
  #fillPages(node: number, first: number, end: number, whom: T | undefined): void {
    const cells = this.#cells;
    let were = 0;
    for (let at = node + first; at < node + end; at++) {
      if (cells[at] !== undefined) were++;
      cells[at] = whom;
    }
    this.#used[node >> NODE_BITS] += (whom === undefined ? 0 : end - first) - were;
  }

  #isAll(node: number, whom: T | undefined): boolean {
    const used = this.#used[node / NODE];
    if (whom === undefined) return used === 0;
    if (used !== NODE) return false;
    for (let at = node; at < node + NODE; at++) if (this.#cells[at] !== whom) return false;
    return true;
  }

  #set(at: number, bits: number, whom: T | undefined): void {
    const was = this.#cells[at];
    if (typeof was === 'number') this.#release(was, bits - NODE_BITS);
    this.#cells[at] = whom;
    if (was === undefined && whom !== undefined) this.#used[at >> NODE_BITS]++;
    if (was !== undefined && whom === undefined) this.#used[at >> NODE_BITS]--;
  }

  /** Put a node in the place of a cell, each of its own cells being what that was. */
  #divide(at: number, was: T | undefined): number {
    const node = this.#free.pop() ?? this.#end;
    this.#moved = true;
    if (node === this.#end) {
      this.#end += NODE;
      if (this.#end > this.#cells.length) this.#grow();
    }
    // A new or free one holds nothing already.
    if (was !== undefined) this.#cells.fill(was, node, node + NODE);
    this.#used[node >> NODE_BITS] = was === undefined ? 0 : NODE;
    this.#cells[at] = node;
    if (was === undefined) this.#used[at >> NODE_BITS]++;
    return node;
  }

  /** Free a node whose cells stand for 2^bits pages each, and those below it. */
  #release(node: number, bits: number): void {
    if (this.#used[node >> NODE_BITS] !== 0) {
      for (let at = node; bits > 0 && at < node + NODE; at++) {
        const cell = this.#cells[at];
        if (typeof cell === 'number') this.#release(cell, bits - NODE_BITS);
      }
      // What a free node holds would not be collected.
      this.#cells.fill(undefined, node, node + NODE);
    }
    this.#free.push(node);
    this.#moved = true;
  }

  #grow(): void {
    // Twice as large, as each is copied to the next, or by a quarter where most of a large cache's memory is here.
    const growth = this.#cells.length < LARGE ? 2 : 1.25;
    const nodes = Math.ceil((this.#cells.length / NODE) * growth);
    const [old, used] = [this.#cells, this.#used];
    this.#cells = cells(nodes * NODE);
    for (let at = 0; at < old.length; at++) this.#cells[at] = old[at];
    this.#used = new Uint16Array(nodes);
    this.#used.set(used);
  }

  /** Give back memory when nothing but the root is in use. */
  #shrink(): void {
    this.#cells = this.#cells.slice(0, SMALL);
    this.#used = this.#used.slice(0, SMALL / NODE);
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
