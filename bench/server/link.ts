import {
  addressOf,
  allocatePageAligned,
  completionError,
  type ProtectionDomain,
  SendRequests,
} from 'rdma-regcache';
import { Connection } from '../connection.js';

/** From a server to its client, here of the same process, into whose memory it writes. */
export class Link {
  readonly #connection = new Connection(1);
  readonly #request = new SendRequests();
  readonly #reply: Buffer;
  readonly #address: number;
  readonly #rkey: number;

  /** @param longest bytes of the longest reply */
  constructor(longest: number) {
    this.#reply = allocatePageAligned(longest);
    this.#address = addressOf(this.#reply);
    this.#rkey = this.#connection.expose(this.#reply);
  }

  get pd(): ProtectionDomain {
    return this.#connection.pd;
  }

  /** Returns when it is in the client's memory. */
  write(address: number, length: number, lkey: number): void {
    const { qp, cq } = this.#connection;
    qp.postSend(this.#request.clear().write(1, address, length, lkey, this.#address, this.#rkey));
    while (cq.pollRaw() === 0) {
      // It is there before an event could tell of it.
    }
    const completion = cq.completionAt(0);
    if (completion.status !== 'SUCCESS') throw completionError(completion);
  }

  /** The client's memory. */
  reply(length: number): Buffer {
    return this.#reply.subarray(0, length);
  }

  close(): void {
    this.#connection.close();
  }
}
