/** What is transferred, and how much of it at once. */
export const OPERATIONS = ['write', 'read'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** How a subject transfers. */
export interface Flow {
  readonly operation: Operation;
  /** Of a message. */
  readonly bytes: number;
  /** Messages under way at most. */
  readonly window: number;
  /** Messages of which the last one alone asks for a completion; the window is a multiple of it. */
  readonly list: number;
}

/** How long to measure. */
export interface Duration {
  /** Whole seconds; 0 for what takes too long to be counted in them: then `messages` says how long. */
  readonly seconds: number;
  readonly messages: number;
}

export interface Size extends Pick<Flow, 'bytes' | 'window' | 'list'>, Duration {
  readonly rounds: number;
  /** Whether perftest is measured with lists, too. */
  readonly lists?: boolean;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const SIZES: readonly Size[] = [
  { bytes: 64, window: 128, list: 64, seconds: 1, messages: 0, rounds: 5, lists: true },
  { bytes: KIB, window: 128, list: 64, seconds: 1, messages: 0, rounds: 3 },
  { bytes: 16 * KIB, window: 64, list: 16, seconds: 1, messages: 0, rounds: 3 },
  { bytes: 256 * KIB, window: 16, list: 1, seconds: 1, messages: 0, rounds: 3 },
  { bytes: 4 * MIB, window: 4, list: 1, seconds: 0, messages: 8, rounds: 3 },
  { bytes: 64 * MIB, window: 1, list: 1, seconds: 0, messages: 2, rounds: 1 },
];

/** One message after the other. */
export const oneAtATime = <T extends Flow>(flow: T): T => ({ ...flow, window: 1, list: 1 });
