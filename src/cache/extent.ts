import { REMOTE_ACCESS } from '../access.js';
import { pageCeil, pageFloor } from '../memory/pages.js';

/** Bytes from `start` (inclusive) to `end` (exclusive). */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/**
 * What is registered for a request. A peer must not see the neighbours in the same page; a local request may well share
 * the page with the next one.
 */
export function extentOf(address: number, length: number, access: number): Extent {
  if ((access & REMOTE_ACCESS) !== 0) return { start: address, end: address + length };
  return { start: pageFloor(address), end: pageCeil(address + length) };
}
