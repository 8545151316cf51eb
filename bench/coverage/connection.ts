import {
  Access,
  addressOf,
  allocatePageAligned,
  completionError,
  type CompletionQueue,
  type MemoryRegion,
  openDevice,
  type ProtectionDomain,
  type QueuePair,
  ReceiveRequests,
  SendRequests,
} from 'rdma-regcache';

interface End {
  readonly cq: CompletionQueue;
  readonly qp: QueuePair;
}

/** A queue pair connected to another one of this process, which receives into memory whose mapping never changes. */
export class Connection {
  readonly pd: ProtectionDomain;
  readonly #context = openDevice();
  readonly #arrived: Buffer;
  readonly #target: MemoryRegion;
  readonly #sender: End;
  readonly #receiver: End;

  /** @param length bytes of the longest message */
  constructor(length: number) {
    this.pd = this.#context.createProtectionDomain();
    this.#arrived = allocatePageAligned(length);
    this.#target = this.pd.register(addressOf(this.#arrived), length, Access.LOCAL_WRITE);
    [this.#sender, this.#receiver] = [this.#open(), this.#open()];
    this.#sender.qp.connect(this.#receiver.qp.local);
    this.#receiver.qp.connect(this.#sender.qp.local);
  }

  #open(): End {
    const cq = this.#context.createCompletionQueue({ entries: 4, events: true });
    const qp = this.pd.createQueuePair({ sendQueue: cq, maxSends: 2, maxReceives: 2 });
    qp.toInit();
    return { cq, qp };
  }

  /** What arrives when the memory at `address` is sent. */
  async send(address: number, length: number, lkey: number): Promise<Buffer> {
    this.#arrived.fill(0);
    const to = addressOf(this.#arrived);
    this.#receiver.qp.postReceive(new ReceiveRequests().receive(1, to, length, this.#target.lkey));
    this.#sender.qp.postSend(new SendRequests().send(2, address, length, lkey));
    for (const { cq } of [this.#sender, this.#receiver]) {
      const [completion] = await cq.wait();
      if (completion.status !== 'SUCCESS') throw completionError(completion);
    }
    return Buffer.from(this.#arrived.subarray(0, length));
  }

  close(): void {
    for (const { cq, qp } of [this.#sender, this.#receiver]) {
      qp.close();
      cq.close();
    }
    this.#target.close();
    this.pd.close();
    this.#context.close();
  }
}
