/** Cells of a node. With pages of 4 KiB the cells of the three kinds of nodes stand for 4 KiB, 2 MiB and 1 GiB. */
const NODE = 512;
const NODE_BITS = 9;
/** Pages that a cell of the root stands for, in bits; with 8192 cells all page numbers up to 2^40 have a place. */
const ROOT_BITS = 3 * NODE_BITS;
const ROOT = 16 * NODE;
/** Lines that remember nodes of the lowest kind, one for each 2 MiB: enough for 2 GiB at a time. */
const LINES = 1024;
/** Of no block. */
const NO_BLOCK = -1;
/** Below this many cells nothing is to be gained by giving memory back. */
const SMALL = ROOT + 64 * NODE;

/**
 * From page number to the slot of the registration that covers the page; 0 means none.
 *
 * A radix tree in one array. A cell holds the slot that the whole of its block is given to, or, negative, where the
 * node begins that divides the block; so a large registration needs few cells. No node has all its cells alike.
 * Page numbers may have more than 32 bits: bitwise operators take the lowest.
 */
export class PageTable {
  #cells = new Int32Array(SMALL);
  /** Cells that are not 0, of each node. */
  #used = new Uint16Array(SMALL / NODE);
  /** Pairs: a block of 512 pages, and the node that divides it. Saves most of the way down from the root. */
  readonly #lines = new Int32Array(2 * LINES).fill(NO_BLOCK);
  /** Nodes have come or gone in the present fill. */
  #moved = false;
  /** Where the next new node goes, unless one has become free. */
  #end = ROOT;
  #free: number[] = [];

  /** @param page from 0 to 2^40 */
  get(page: number): number {
    // Wrapped for blocks from 2^31 on: still another for each.
    const block = (page * (1 / NODE)) | 0;
    const line = (block & (LINES - 1)) << 1;
    const cells = this.#cells;
    return this.#lines[line] === block ? cells[this.#lines[line + 1] + (page & 511)] : this.#walk(page);
  }

  #walk(page: number): number {
    const cells = this.#cells;
    const high = (page * (1 / (NODE * NODE))) | 0;
    let cell = cells[high >> 9];
    if (cell < 0) cell = cells[(high & 511) - cell];
    if (cell < 0) cell = cells[((page >> 9) & 511) - cell];
    if (cell >= 0) return cell;
    const block = (page * (1 / NODE)) | 0;
    const line = (block & (LINES - 1)) << 1;
    this.#lines[line] = block;
    this.#lines[line + 1] = -cell;
    return cells[(page & 511) - cell];
  }

  /** The first page given to anybody from `page` on, or `end` if there is none before it. */
  seek(page: number, end: number): number {
    while (page < end) {
      let bits = ROOT_BITS;
      let cell = this.#cells[(page / 2 ** ROOT_BITS) | 0];
      while (cell < 0) {
        bits -= NODE_BITS;
        cell = this.#cells[((page >> bits) & (NODE - 1)) - cell];
      }
      if (cell !== 0) return page;
      const span = 1 << bits;
      page += span - (page & (span - 1));
    }
    return end;
  }

  /** Give the pages from `first` (inclusive) to `end` (exclusive) to `slot`, 0 to nobody. */
  fill(first: number, end: number, slot: number): void {
    const span = 2 ** ROOT_BITS;
    for (let page = first; page < end;) {
      const at = Math.floor(page / span);
      const until = Math.min(end, (at + 1) * span);
      this.#fill(at, ROOT_BITS, page - at * span, until - at * span, slot);
      page = until;
    }
    if (this.#moved) this.#forget(first, end);
    if (this.nodes === 0 && this.#cells.length > SMALL) this.#shrink();
  }

  /** Nodes come and go only where pages are given away. */
  #forget(first: number, end: number): void {
    this.#moved = false;
    const blocks = Math.ceil(end / NODE) - Math.floor(first / NODE);
    if (blocks >= LINES) this.#lines.fill(NO_BLOCK);
    else {
      const block = Math.floor(first / NODE);
      for (let n = 0; n < blocks; n++) this.#lines[((block + n) & (LINES - 1)) << 1] = NO_BLOCK;
    }
  }

  /** The same for the block of 2^bits pages that the cell at `at` stands for; pages are counted from its first. */
  #fill(at: number, bits: number, first: number, end: number, slot: number): void {
    const cell = this.#cells[at];
    if (end - first === 1 << bits) {
      this.#set(at, bits, slot);
    } else if (cell !== slot) {
      const node = cell < 0 ? -cell : this.#divide(at);
      const below = bits - NODE_BITS;
      for (let page = first; page < end;) {
        const index = page >> below;
        const start = index << below;
        const until = Math.min(end, start + (1 << below));
        this.#fill(node + index, below, page - start, until - start, slot);
        page = until;
      }
      if (this.#isAll(node, slot)) this.#set(at, bits, slot);
    }
  }

  #isAll(node: number, slot: number): boolean {
    const used = this.#used[node / NODE];
    if (slot === 0) return used === 0;
    if (used !== NODE) return false;
    for (let at = node; at < node + NODE; at++) if (this.#cells[at] !== slot) return false;
    return true;
  }

  #set(at: number, bits: number, cell: number): void {
    const was = this.#cells[at];
    if (was < 0) this.#release(-was, bits - NODE_BITS);
    this.#cells[at] = cell;
    if (was === 0 && cell !== 0) this.#used[at >> NODE_BITS]++;
    if (was !== 0 && cell === 0) this.#used[at >> NODE_BITS]--;
  }

  /** Put a node in the place of a cell, each of its own cells being what that was. */
  #divide(at: number): number {
    const was = this.#cells[at];
    const node = this.#free.pop() ?? this.#end;
    this.#moved = true;
    if (node === this.#end) {
      this.#end += NODE;
      if (this.#end > this.#cells.length) this.#grow();
    }
    this.#cells.fill(was, node, node + NODE);
    this.#used[node >> NODE_BITS] = was === 0 ? 0 : NODE;
    this.#cells[at] = -node;
    if (was === 0) this.#used[at >> NODE_BITS]++;
    return node;
  }

  /** Free a node whose cells stand for 2^bits pages each, and those below it. */
  #release(node: number, bits: number): void {
    for (let at = node; bits > 0 && at < node + NODE; at++) {
      if (this.#cells[at] < 0) this.#release(-this.#cells[at], bits - NODE_BITS);
    }
    this.#free.push(node);
    this.#moved = true;
  }

  #grow(): void {
    // By a quarter only: in a large cache most of the table's memory is here.
    const nodes = Math.ceil((this.#cells.length / NODE) * 1.25);
    const [cells, used] = [this.#cells, this.#used];
    this.#cells = new Int32Array(nodes * NODE);
    this.#cells.set(cells);
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

  /** Memory of the table. */
  get bytes(): number {
    return this.#cells.byteLength + this.#used.byteLength;
  }
}
