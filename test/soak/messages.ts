import type { Statistics } from '../../src/cache/statistics.js';
import type { SharedPlaces } from './places.js';

/** Words that all threads share. */
export const STOP = 0;
/** Transfers compared, of all threads. */
export const TRANSFERS = 1;
export const CHANGES = 2;
export const STALE = 3;
/** From here on a word for each thread, which moves while it does. */
export const BEATS = 4;

export interface Orders {
  readonly task: 'change' | 'transfer';
  readonly thread: number;
  readonly seed: number;
  readonly places: SharedPlaces;
  readonly words: Int32Array;
  /** Registrations are kept whatever happens to the memory. */
  readonly kept: boolean;
}

/** What a thread that transfers has seen. */
export interface Transferred {
  /** Compared at the receiver. */
  transfers: number;
  /** Acquired while another thread may have been changing it, and sent if that was possible. */
  raced: number;
  /** Of those, the ones refused, by error code. */
  refused: Record<string, number>;
  /** Of transfers that failed, what arrived and where. */
  failures: string[];
  stale: { sender: number; receiver: number };
  /** Statements about the caches' statistics that were not true. */
  contradictions: string[];
  checks: number;
  statistics: Statistics[];
  /** Ranges that its caches have watched while nothing is in use. */
  watched: number;
  /** Regions at the device, those beside the caches included. */
  registered: number;
  /** By those regions. */
  pinnedBytes: number;
}

export type FromThread =
  /** It begins. */
  | 'ready'
  /** A thread that transfers holds what it holds until it is told to close. */
  | { transferred: Transferred }
  | { changed: Record<string, number> };

/** To a thread that transfers, once it has stopped. */
export type ToThread = 'tell' | 'close';
