import { Access } from '../src/access.js';
import { addressOf } from '../src/memory/locate.js';
import type { CompletionQueue } from '../src/verbs/completion-queue.js';
import { openDevice } from '../src/verbs/device.js';
import type { MemoryRegion } from '../src/verbs/memory-region.js';
import type { ProtectionDomain } from '../src/verbs/protection-domain.js';
import type { QueuePair } from '../src/verbs/queue-pair.js';

/** A queue pair connected to another one of this process, whose memory it may write and read. */
export class Connection {
  readonly pd: ProtectionDomain;
  readonly qp: QueuePair;
  readonly cq: CompletionQueue;
  readonly #context = openDevice();
  readonly #peer: QueuePair;
  readonly #peerQueue: CompletionQueue;
  #memory: MemoryRegion | undefined;

  /** @param window requests under way at most */
  constructor(window: number) {
    this.pd = this.#context.createProtectionDomain();
    this.cq = this.#context.createCompletionQueue({ entries: window });
    this.#peerQueue = this.#context.createCompletionQueue({ entries: 1 });
    this.qp = this.pd.createQueuePair({ sendQueue: this.cq, maxSends: window, maxReceives: 1 });
    this.#peer = this.pd.createQueuePair({ sendQueue: this.#peerQueue, maxSends: 1, maxReceives: 1 });
    this.qp.toInit();
    this.#peer.toInit();
    this.qp.connect(this.#peer.local);
    this.#peer.connect(this.qp.local);
  }

  get device(): string {
    return this.#context.device.name;
  }

  /** Where the port's address is in its table. */
  get gidIndex(): number | undefined {
    const { port, gid } = this.qp.local;
    return this.#context.gidTable(port).find((one) => one.gid === gid)?.index;
  }

  /** Reads that are under way at once, at most. */
  get reads(): number {
    return Math.min(this.qp.local.readsInitiated, this.#peer.local.readsAccepted);
  }

  /** Lets memory of the peer's be written and read, in place of what was before. @returns its rkey */
  expose(memory: Buffer): number {
    this.#memory?.close();
    const access = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ;
    this.#memory = this.pd.register(addressOf(memory), memory.length, access);
    return this.#memory.rkey;
  }

  close(): void {
    this.qp.close();
    this.#peer.close();
    this.cq.close();
    this.#peerQueue.close();
    this.#memory?.close();
    this.pd.close();
    this.#context.close();
  }
}
