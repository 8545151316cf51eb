import { type RegcacheError, systemError } from '../errors.js';
import { CollectedMapping } from '../system/collected-mapping.js';
import { errno, PAGE_SIZE } from '../system/libc.js';
import { watchReadable, type ReadableWatch } from '../system/readable.js';
import type { Native } from '../system/off-thread.js';
import { endsWithThread } from '../system/thread-end.js';
import type { Helper } from './helper.js';

/** What became of a range; native/monitor/board.h. */
export const HIT = 1;
export const GONE = 2;
export const ARRIVED = 4;

/** `struct taken`, in doubles. */
const LOW = 0;
const HIGH = 1;
const OVERFLOW = 2;
const RANGES = 3;
const FIELDS = 3;
const SLOTS = 4096;

/** `struct opened` */
const COUNTER = 0;
const PENDING = 1;
const MORE = 2;

/** What a closed one shows. */
const CLOSED_COUNTER = new Int32Array(2);

export interface TakenRange {
  start: number;
  end: number;
  what: number;
}

/** How a part of the helper opens, empties and closes a board. */
interface Bindings {
  open: (opened: Int32Array) => number;
  take: (board: number, taken: Buffer, quiet: boolean) => number;
  close: (board: number) => number;
}

/** What has a board in the helper: the names of its functions begin so. */
export type Owner = 'regcache_userfaultfd' | 'regcache_hooks';

/**
 * The other side of native/monitor/board.c: what the helper's threads have put up. One that is not closed ends with its
 * worker thread.
 */
export class Board {
  readonly #bindings: Bindings;
  readonly #address: number;
  readonly #opened = new Int32Array(3);
  readonly #mapping: CollectedMapping;
  #counter: Int32Array;
  readonly #doubles = new Float64Array(RANGES + SLOTS * FIELDS);
  readonly #taken = Buffer.from(this.#doubles.buffer);
  readonly #watches = new Set<ReadableWatch>();

  /**
   * @param explain the error to throw when it cannot be opened, given the error number and the owner's own number
   */
  constructor(helper: Helper, owner: Owner, explain: (error: number, more: number) => RegcacheError) {
    this.#bindings = bindingsOf(helper, owner);
    this.#mapping = new CollectedMapping(PAGE_SIZE);
    this.#address = this.#bindings.open(this.#opened);
    if (this.#address === 0) throw explain(errno(), this.#opened[MORE]);
    if (!this.#mapping.show(this.#opened[COUNTER], 0)) {
      const error = errno();
      this.#bindings.close(this.#address);
      throw systemError(error, 'mmap');
    }
    this.#counter = new Int32Array(this.#mapping.view(8));
  }

  /** The owner's own number. */
  get more(): number {
    return this.#opened[MORE];
  }

  get counter(): Int32Array {
    return this.#counter;
  }

  /**
   * Take what is new.
   * @param quiet whether the event loop need not be told of it any more
   * @returns how many ranges it is; the rest is to be asked for before the next call
   */
  take(quiet: boolean): number {
    return this.#bindings.take(this.#address, this.#taken, quiet);
  }

  /** Everything up to this value of the counter has been taken. */
  get takenTo(): { low: number; high: number } {
    return { low: this.#doubles[LOW], high: this.#doubles[HIGH] };
  }

  /** Bits: what became of ranges that are not known. */
  get overflow(): number {
    return this.#doubles[OVERFLOW];
  }

  range(index: number): TakenRange {
    const at = RANGES + index * FIELDS;
    return { start: this.#doubles[at], end: this.#doubles[at + 1], what: this.#doubles[at + 2] };
  }

  whenPending(callback: () => void): () => void {
    const watch = watchReadable(this.#opened[PENDING], callback);
    watch.unref();
    this.#watches.add(watch);
    return () => {
      if (this.#watches.delete(watch)) watch.close();
    };
  }

  close(): void {
    // The event loop must forget the descriptor before its number can belong to another file.
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    this.#counter = CLOSED_COUNTER;
    this.#mapping.release();
    this.#bindings.close(this.#address);
  }
}

function bindingsOf(helper: Helper, owner: Owner): Bindings {
  const lifetime = endsWithThread(helper, `${owner}_close`);
  const open = helper.func(`uintptr_t ${owner}_open(void *opened)`) as unknown as Native<
    [opened: Int32Array]
  >;
  const take = helper.func(`uint32_t ${owner}_take(uintptr_t board, void *taken, bool quiet)`);
  return { open: lifetime.begin(open), take: take as Bindings['take'], close: lifetime.end };
}
