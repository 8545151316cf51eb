import { EventEmitter, once } from 'node:events';
import { resolveHost, socketAddress } from '../../src/cm/address.js';
import { ConnectionId } from '../../src/cm/connection-id.js';
import type { CmEvent } from '../../src/cm/event-channel.js';
import type { CompletionQueue } from '../../src/verbs/completion-queue.js';
import type { Context } from '../../src/verbs/context.js';
import { openDevice } from '../../src/verbs/device.js';
import type { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import type { QueuePair } from '../../src/verbs/queue-pair.js';

/** RDMA reads and atomics at once, that a side answers and that it has in flight. */
export interface Reads {
  readonly readsAccepted: number;
  readonly readsInitiated: number;
}

/** An end of a connection step by step, so that it can ask for what an endpoint would not, or go no further. */
export class RawPeer implements Disposable {
  readonly #id: ConnectionId;
  readonly #context: Context;
  readonly #protectionDomain: ProtectionDomain;
  readonly #completions: CompletionQueue;
  readonly #queuePair: QueuePair;

  /** @param id bound to a device */
  constructor(id: ConnectionId) {
    this.#id = id;
    this.#context = openDevice(id.device);
    this.#protectionDomain = this.#context.createProtectionDomain();
    this.#completions = this.#context.createCompletionQueue();
    this.#queuePair = this.#protectionDomain.createQueuePair({ sendQueue: this.#completions });
  }

  static async to(host: string, port: number): Promise<RawPeer> {
    const id = ConnectionId.create();
    await id.resolve(await resolveHost(host, port));
    return new RawPeer(id);
  }

  /** Ask the other side. @returns what it says of itself */
  async ask(reads: Reads): Promise<Reads> {
    return told(await this.#id.connect(this.#parameters(reads)));
  }

  confirm(): void {
    this.#id.establish();
  }

  accept(reads: Reads): Promise<void> {
    return this.#id.accept(this.#parameters(reads));
  }

  #parameters(reads: Reads): Parameters<ConnectionId['connect']>[0] {
    return { qpNumber: this.#queuePair.number, retries: 6, receiverNotReadyRetries: 7, ...reads };
  }

  [Symbol.dispose](): void {
    this.#id.close();
    for (const each of [this.#queuePair, this.#completions, this.#protectionDomain, this.#context])
      each.close();
  }
}

/** What the other side can do. The connection manager tells a side what it may do itself. */
const told = ({ responderResources, initiatorDepth }: CmEvent): Reads => ({
  readsAccepted: initiatorDepth,
  readsInitiated: responderResources,
});

/** Listens for one who asks. */
export class RawListener implements Disposable {
  readonly #id = ConnectionId.create();
  readonly #events = new EventEmitter<{ asked: [CmEvent] }>();
  readonly port: number;

  constructor() {
    this.#id.onEvent = (event) => this.#events.emit('asked', event);
    this.#id.listen(socketAddress('0.0.0.0', 4, 0), 1);
    this.port = this.#id.localPort;
  }

  async asked(): Promise<CmEvent> {
    const [event] = (await once(this.#events, 'asked')) as [CmEvent];
    return event;
  }

  [Symbol.dispose](): void {
    this.#id.close();
  }
}
