import {
  Access,
  addressOf,
  allocatePageAligned,
  completionError,
  openDevice,
  SendRequests,
} from 'rdma-regcache';

/** From a server to its client, here of the same process, into whose memory it writes. */
export class Link {
  readonly #context = openDevice();
  readonly pd = this.#context.createProtectionDomain();
  readonly #completions = this.#context.createCompletionQueue({ entries: 4 });
  readonly #server = this.pd.createQueuePair({ sendQueue: this.#completions, maxSends: 1, maxReceives: 1 });
  readonly #client = this.pd.createQueuePair({ sendQueue: this.#completions, maxSends: 1, maxReceives: 1 });
  readonly #request = new SendRequests();
  readonly #reply: Buffer;
  readonly #address: number;
  readonly #target;

  /** @param longest bytes of the longest reply */
  constructor(longest: number) {
    this.#reply = allocatePageAligned(longest);
    this.#address = addressOf(this.#reply);
    this.#target = this.pd.register(this.#address, longest, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
    const [server, client] = [this.#server.toInit(), this.#client.toInit()];
    this.#server.connect(client);
    this.#client.connect(server);
  }

  /** Returns when it is in the client's memory. */
  write(address: number, length: number, lkey: number): void {
    this.#request.clear().write(1, address, length, lkey, this.#address, this.#target.rkey);
    this.#server.postSend(this.#request);
    while (this.#completions.pollRaw() === 0) {
      // It is there before an event could tell of it.
    }
    const completion = this.#completions.completionAt(0);
    if (completion.status !== 'SUCCESS') throw completionError(completion);
  }

  /** The client's memory. */
  reply(length: number): Buffer {
    return this.#reply.subarray(0, length);
  }

  close(): void {
    for (const resource of [this.#server, this.#client, this.#completions, this.#target, this.pd])
      resource.close();
    this.#context.close();
  }
}
