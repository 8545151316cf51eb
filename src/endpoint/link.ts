import type { ConnectionId } from '../cm/connection-id.js';
import { Access } from '../access.js';
import type { CompletionQueue } from '../verbs/completion-queue.js';
import { LAYOUT, VALUES } from '../verbs/layout.js';
import type { QueuePair } from '../verbs/queue-pair.js';
import { type Domain, holdDomain } from './domain.js';
import type { CheckedOptions } from './options.js';

/** What the peer asked for, if it was the one to ask. */
export interface Asked {
  readonly responderResources: number;
  readonly initiatorDepth: number;
}

const MAX_READS = 16;
const REMOTE = Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC;

/** A connection of the connection manager with the queue pair that it is for, and what that is made from. */
export class Link {
  readonly id: ConnectionId;
  readonly domain: Domain;
  readonly options: CheckedOptions;
  readonly completions: CompletionQueue;
  readonly queuePair: QueuePair;
  /** Bytes in one message. */
  readonly maxMessage: number;
  readonly #reads: { accepted: number; initiated: number };

  /**
   * @param id bound to a device; stays the caller's if this throws
   * @throws what `holdDomain` throws, ERR_INVALID_OPTION, or the error of the call that made the device refuse
   */
  constructor(id: ConnectionId, device: string, options: CheckedOptions) {
    this.id = id;
    this.options = options;
    this.domain = holdDomain(device, options);
    const { protectionDomain } = this.domain;
    const { context } = protectionDomain;
    const { sendDepth, receiveBuffers, receiveDepth, polling } = options;
    const receives = receiveBuffers === 0 ? receiveDepth : receiveBuffers;
    const made: { close(): void }[] = [];
    try {
      const limits = context.queryDevice();
      this.#reads = {
        accepted: Math.min(MAX_READS, limits.maxReadsAccepted),
        initiated: Math.min(MAX_READS, limits.maxReadsInitiated),
      };
      this.maxMessage = context.queryPort(id.devicePort).maxMessageLength;
      this.completions = context.createCompletionQueue({
        entries: sendDepth + receives,
        batch: Math.min(64, sendDepth + receives),
        events: !polling,
      });
      made.push(this.completions);
      this.queuePair = protectionDomain.createQueuePair({
        sendQueue: this.completions,
        maxSends: sendDepth,
        maxReceives: receives,
      });
      made.push(this.queuePair);
      this.#to(VALUES.IBV_QPS_INIT, 'to INIT', (attributes) => {
        attributes.writeUInt32LE(REMOTE, LAYOUT.ibv_qp_attr.qp_access_flags);
        return VALUES.IBV_QP_ACCESS_FLAGS;
      });
    } catch (error) {
      for (const each of made.reverse()) each.close();
      // What cannot be closed goes with the process; the error that matters is the first.
      this.domain.release().catch(() => undefined);
      throw error;
    }
  }

  /** Ask a peer; receives may be posted before. */
  async connect(): Promise<void> {
    await this.id.connect(this.#parameters());
    this.#ready();
    this.id.establish();
  }

  /** Let a peer in that asked; receives may be posted before. */
  async accept(asked: Asked): Promise<void> {
    this.#reads.accepted = Math.min(this.#reads.accepted, asked.responderResources);
    this.#reads.initiated = Math.min(this.#reads.initiated, asked.initiatorDepth);
    this.#ready();
    await this.id.accept(this.#parameters());
  }

  /** The device touches no memory on behalf of this connection any more. The domain stays held. */
  close(): void {
    this.id.close();
    this.queuePair.close();
    this.completions.close();
  }

  #parameters(): Parameters<ConnectionId['connect']>[0] {
    const { retries, receiverNotReadyRetries } = this.options;
    const { accepted: readsAccepted, initiated: readsInitiated } = this.#reads;
    const qpNumber = this.queuePair.number;
    return { qpNumber, readsAccepted, readsInitiated, retries, receiverNotReadyRetries };
  }

  #ready(): void {
    const at = LAYOUT.ibv_qp_attr;
    const { timeout, retries, receiverNotReadyRetries, receiverNotReadyTimer } = this.options;
    this.#to(VALUES.IBV_QPS_RTR, 'to RTR', (attributes) => {
      attributes.writeUInt8(receiverNotReadyTimer, at.min_rnr_timer);
      return VALUES.IBV_QP_MIN_RNR_TIMER;
    });
    this.#to(VALUES.IBV_QPS_RTS, 'to RTS', (attributes) => {
      attributes.writeUInt8(timeout, at.timeout);
      attributes.writeUInt8(retries, at.retry_cnt);
      attributes.writeUInt8(receiverNotReadyRetries, at.rnr_retry);
      return VALUES.IBV_QP_TIMEOUT | VALUES.IBV_QP_RETRY_CNT | VALUES.IBV_QP_RNR_RETRY;
    });
  }

  /** @param change of what the connection manager says; returns the mask of what it changed */
  #to(state: number, what: string, change: (attributes: Buffer) => number): void {
    const { attributes, mask } = this.id.attributes(state);
    this.queuePair.modify(attributes, mask | change(attributes), what);
  }
}
