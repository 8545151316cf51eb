/**
 * What the two say to each other, each a message of JSON but for the last two of the transfer itself:
 *
 * 1. sender: `Announcement`
 * 2. receiver: `Offer`, with what an earlier transfer left, and memory to write into
 * 3. sender: `Start`
 * 4. sender: writes of up to `PART_BYTES`, one part of the memory after the other, round and round; the immediate value
 *    tells the receiver which part
 * 5. receiver, after each: an empty message: the part may be written to again
 * 6. sender: `End`
 * 7. receiver: `Verdict`
 *
 * In place of whatever its turn is, the receiver may say a `Failure`, its last word.
 */
import type { RemoteMemory } from 'rdma-regcache';

/** Bytes of one part of the receiver's memory, which are written at a time. */
export const PART_BYTES = 256 * 1024;
/** Parts that are under way at once: while some are on the wire, the receiver writes others to its disk. */
export const PARTS = 8;

export interface Announcement {
  /** Without a folder. */
  name: string;
  /** Bytes of the whole file. */
  bytes: number;
}

export interface Failure {
  error: string;
}

export interface Offer {
  window: RemoteMemory;
  partial: Partial;
}

/** The beginning of the file, as it is at the receiver. */
export interface Partial {
  bytes: number;
  /** In hexadecimal. */
  sha256: string;
}

export interface Start {
  /** Bytes that the receiver keeps: all of its partial file, or none. */
  from: number;
}

export interface End {
  /** Of the whole file, in hexadecimal. */
  sha256: string;
}

export interface Verdict {
  /** Of the whole file, as the sender has said. */
  sha256: string;
}
