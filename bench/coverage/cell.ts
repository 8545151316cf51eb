/** What came of one change, under one monitor. */
import type { Actor } from './changes.js';

/**
 * Our cache under each of its monitors, and UCX's own cache, which brings its hooks along. 'kept' is no monitor:
 * registrations are kept whatever happens, to show that a change can make them stale.
 */
export const MONITORS = ['ummunotify', 'none', 'userfaultfd', 'malloc-hooks', 'ucx', 'kept'] as const;
export type Monitor = (typeof MONITORS)[number];

/** Those that promise never to be stale. */
export const PROMISING: ReadonlySet<Monitor> = new Set<Monitor>(['ummunotify', 'none']);

/** A change and who makes it. */
export interface Case {
  readonly change: string;
  readonly actor: Actor;
}

/** What came of trying it once. */
export interface Attempt extends Case {
  /**
   * What the receiver got: what was sent, or what was in the memory before the change, or neither; or no registration
   * was to be had; or nothing came of it in time; or the process died; or the change went wrong, though the kernel has
   * it; or the kernel, or this machine, has no such change or monitor.
   */
  readonly cell: 'fresh' | 'stale' | 'wrong' | 'refused' | 'hang' | 'crash' | 'broken' | 'n/a';
  /** Whether the registration that was handed out pins the page frames that are mapped; '-' when that is not known. */
  readonly pfn: 'same' | 'other' | '-';
  /** Name of the error, where there was one. */
  readonly errno: string;
}

/** What a trial says: that it begins with the next case, and what came of it. */
export type FromTrial = 'begin' | Attempt;

export interface Cell extends Attempt {
  /** How often it was tried: more than once where nothing came of it in time at first. */
  readonly tries: number;
}

/** Whether a promise was broken. */
export const isFailure = (monitor: Monitor, { cell, pfn }: Attempt): boolean =>
  PROMISING.has(monitor) && (!['fresh', 'refused', 'n/a'].includes(cell) || pfn === 'other');
