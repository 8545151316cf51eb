import { ADDRESS_LIMIT } from '../memory/locate.js';
import { checkFunction, checkWhole, takeFields } from '../options.js';

/**
 * What the cache asks of whoever watches the address space. The kernel driver is the one that keeps every promise
 * below; tests stand a model in its place.
 */
export interface MemoryMonitor {
  /** Short name for messages and statistics, e.g. `'ummunotify'`. */
  readonly kind: string;

  /**
   * Live view of the counter, a little-endian 64-bit number: word 0 is its low half, word 1 its high half. It moves
   * whenever an event has hit at least one watched range. Must not be read after `close()`. The monitors of this
   * package show theirs to caches only: live-views.ts.
   */
  readonly counter?: Int32Array;

  /**
   * If the monitor has them: a word for each slot, which changes with every hit of a range watched under that slot,
   * before the counter moves. Nothing resets a word. With it a reader can tell, when the counter has moved, that a
   * range was not hit, without a drain. Must not be read after `close()`.
   */
  readonly generations?: Int32Array | undefined;

  /**
   * Start to watch the bytes from `start` (inclusive) to `end` (exclusive). Every change of their mapping that
   * begins after this returns is reported once under `cookie`, until drained, and then again.
   * @param cookie a whole number below 2^53, distinct among the watches of this monitor
   * @param slot where its generation word is, if the monitor has one there; load the word before this call
   * @returns false when memory of this kind is beyond what the monitor can see; nothing is watched then, and the
   *   registration must not be kept
   * @throws RegcacheError when it fails; nothing is watched then
   */
  watch(start: number, end: number, cookie: number, slot: number): boolean;

  /** Stop watching. Once it returns, no later drain reports `cookie`. May be called from within a drain. */
  unwatch(cookie: number): void;

  /**
   * Report all that is pending to the sink, then the counter value up to which everything has been reported.
   * Never chases a moving counter: what moves meanwhile is left to the next drain. A sink that stops watching what
   * was reported keeps the drain finite however fast other threads change mappings.
   */
  drain(sink: DrainSink): void;

  /**
   * Call back from the event loop while something is pending, so that memory unmapped while nobody looks is unpinned
   * soon. Does not keep the process alive.
   * @returns stops the calls; left out by monitors that cannot be waited for
   */
  whenPending?(callback: () => void): () => void;

  /** Idempotent. The counter view must not be touched afterwards. */
  close(): void;
}

export interface DrainSink {
  /**
   * The mapping of a watched range changed.
   * @param start first byte hit, inclusive
   * @param end exclusive
   */
  invalidated(cookie: number, start: number, end: number): void;
  /** All events up to this value of the counter (its two halves) have been reported. */
  drainedTo(low: number, high: number): void;
}

/** @throws ERR_INVALID_OPTION for what no monitor can watch */
export function checkWatch(start: number, end: number, cookie: number): void {
  checkWhole('start', start, 0, ADDRESS_LIMIT);
  checkWhole('end', end, 0, ADDRESS_LIMIT);
  checkWhole('cookie', cookie, 0, Number.MAX_SAFE_INTEGER);
}

/** @throws ERR_INVALID_OPTION for what cannot be told anything */
export function checkSink(sink: DrainSink): void {
  for (const name of ['invalidated', 'drainedTo'] as const)
    checkFunction(name, (takeFields(sink, [name]) as Partial<DrainSink>)[name]);
}
