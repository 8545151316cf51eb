import { regcacheError, systemError } from '../errors.js';
import { checkFunction } from '../options.js';
import { E } from '../system/libc.js';
import { ARRIVED, type Board, GONE, HIT } from './board.js';
import { showToCaches } from './live-views.js';
import { checkSink, checkWatch, type DrainSink, type MemoryMonitor } from './monitor.js';
import { stillWatched, type Watch, WatchedRanges } from './watched-ranges.js';

/**
 * A monitor whose events are ranges that threads of the helper put up; which watches they hit is found out here, where
 * the watches are, when they are asked for.
 */
export abstract class HelpedMonitor implements MemoryMonitor {
  abstract readonly kind: string;
  readonly #board: Board;
  #closed = false;
  protected readonly watches = new WatchedRanges();
  /** Hit, and not reported yet; what was unwatched meanwhile has lost its mark. */
  #pending: Watch[] = [];

  protected constructor(board: Board) {
    this.#board = board;
    showToCaches(this, () => ({ counter: this.#board.counter }));
  }

  /**
   * Start to watch a range in the way of this kind of monitor.
   * @returns what is watched, whole pages that contain the range; nothing when it cannot be watched
   */
  protected abstract begin(start: number, end: number): { from: number; to: number } | undefined;

  /** Stop to watch what no watch needs of these ranges any more. */
  protected abstract end(ranges: readonly (readonly [start: number, end: number])[]): void;

  watch(start: number, end: number, cookie: number): boolean {
    this.#requireOpen();
    checkWatch(start, end, cookie);
    if (this.watches.get(cookie) !== undefined) throw systemError(E.EINVAL, 'watch', 'the cookie is in use');
    // What went before is the business of those who watched then.
    this.#take(false);
    const begun = this.begin(start, end);
    if (begun === undefined) return false;
    const nothing = { goneFrom: 0, goneTo: 0, pending: false, hitStart: 0, hitEnd: 0 };
    this.watches.add({ cookie, start, end, ...begun, ...nothing });
    return true;
  }

  unwatch(cookie: number): void {
    this.#requireOpen();
    const watch = this.watches.get(cookie);
    if (watch === undefined) throw systemError(E.EINVAL, 'unwatch', 'there is no such watch');
    // Of what has gone since, somebody else may be watching what came in its place.
    this.#take(false);
    this.watches.remove(watch);
    watch.pending = false;
    this.end(stillWatched(watch));
  }

  drain(sink: DrainSink): void {
    this.#requireOpen();
    checkSink(sink);
    this.#take(true);
    const { low, high } = this.#board.takenTo;
    // What is hit from here on is counted above that, and left to the next drain.
    const pending = this.#pending;
    this.#pending = [];
    let next = 0;
    try {
      while (next < pending.length) {
        const watch = pending[next++];
        if (!watch.pending) continue;
        watch.pending = false;
        sink.invalidated(watch.cookie, watch.hitStart, watch.hitEnd);
      }
    } finally {
      if (next < pending.length) this.#pending = pending.slice(next).concat(this.#pending);
    }
    sink.drainedTo(low, high);
  }

  /** See which watches were hit by what is new. */
  #take(quiet: boolean): void {
    const board = this.#board;
    const count = board.take(quiet);
    const arrived: [number, number][] = [];
    if ((board.overflow & (HIT | GONE)) !== 0) {
      for (const watch of this.watches.all()) this.#hit(watch, watch.from, watch.to, board.overflow);
    }
    for (let n = 0; n < count; n++) {
      const { start, end, what } = board.range(n);
      if (what === ARRIVED) arrived.push([start, end]);
      else for (const watch of this.watches.overlapping(start, end)) this.#hit(watch, start, end, what);
    }
    if (arrived.length !== 0) this.end(arrived);
  }

  #hit(watch: Watch, start: number, end: number, what: number): void {
    if ((what & GONE) !== 0) {
      watch.goneFrom = watch.goneTo === 0 ? start : Math.min(watch.goneFrom, start);
      watch.goneTo = Math.max(watch.goneTo, end);
    }
    const hitStart = Math.max(start, watch.start);
    const hitEnd = Math.min(end, watch.end);
    if (hitStart >= hitEnd) return;
    if (watch.pending) {
      watch.hitStart = Math.min(watch.hitStart, hitStart);
      watch.hitEnd = Math.max(watch.hitEnd, hitEnd);
      return;
    }
    watch.pending = true;
    watch.hitStart = hitStart;
    watch.hitEnd = hitEnd;
    this.#pending.push(watch);
  }

  whenPending(callback: () => void): () => void {
    this.#requireOpen();
    checkFunction('callback', callback);
    return this.#board.whenPending(callback);
  }

  close(): void {
    if (this.#closed) return;
    // One by one: a forked process may go on holding what the kernel knows of them, and nobody reads its events then.
    for (const { cookie } of [...this.watches.all()]) this.unwatch(cookie);
    this.#closed = true;
    this.#board.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #requireOpen(): void {
    if (this.#closed) throw regcacheError('ERR_CLOSED', 'the monitor was closed');
  }
}
