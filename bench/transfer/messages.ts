import { randomBytes } from 'node:crypto';
import { addressOf } from '../../src/memory/locate.js';
import type { Operation } from './cases.js';

/** What is sent or read, as an application has it: many Buffers of its own, and one range of the peer's for each. */
export class Messages {
  readonly bytes: number;
  readonly buffers: readonly Buffer[];
  /** Of the buffers. */
  readonly addresses: readonly number[];
  /** The ranges of the peer's, one after the other. */
  readonly peer: Buffer;
  /** Of the first of them. */
  readonly peerAddress: number;

  constructor(bytes: number) {
    this.bytes = bytes;
    const count = Math.min(MOST, Math.max(2, TOTAL / bytes));
    this.buffers = Array.from({ length: count }, () => Buffer.alloc(bytes));
    this.addresses = this.buffers.map((buffer) => addressOf(buffer));
    this.peer = Buffer.alloc(bytes * count);
    this.peerAddress = addressOf(this.peer);
  }

  /** New content where it comes from, different in each message; where it goes to nothing is the same by chance. */
  renew(operation: Operation): void {
    this.buffers.forEach((buffer, n) => {
      (operation === 'write' ? buffer : this.#peerOf(n)).fill(randomBytes(PATTERN));
    });
  }

  /**
   * Compare what came with what was sent.
   * @param count how many messages were transferred, from the first on and round again
   * @throws Error when something differs
   */
  verify(count: number): void {
    this.buffers.forEach((buffer, n) => {
      if (buffer.equals(this.#peerOf(n)) !== n < count)
        throw new Error(
          n < count
            ? `message ${n} of ${this.bytes} bytes did not come as it was sent`
            : `message ${n} of ${this.bytes} bytes came although nobody sent it`,
        );
    });
  }

  #peerOf(n: number): Buffer {
    return this.peer.subarray(n * this.bytes, (n + 1) * this.bytes);
  }
}

const MOST = 1024;
/** Bytes, if that is more than two messages. */
const TOTAL = 32 * 1024 * 1024;
/** Bytes that are repeated: a prime number of them, so that no two packets of a message are the same. */
const PATTERN = 251;
