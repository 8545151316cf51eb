import { Access } from '../access.js';
import type { ConnectionId } from '../cm/connection-id.js';
import type { CmEvent } from '../cm/event-channel.js';
import type { CompletionQueue } from '../verbs/completion-queue.js';
import { LAYOUT, VALUES } from '../verbs/layout.js';
import type { QueuePair } from '../verbs/queue-pair.js';
import { type Domain, holdDomain } from './domain.js';
import type { CheckedOptions } from './options.js';
import { takeBack } from './take-back.js';

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
  /** RDMA reads and atomics at once; no more than the peer can do, once it has said so. */
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
      takeBack(made);
      this.domain.release().catch(() => undefined);
      throw error;
    }
  }

  /** Ask a peer; receives may be posted before. */
  async connect(): Promise<void> {
    const answer = await this.id.connect(this.#parameters());
    this.#ready(answer);
    this.id.establish();
  }

  /** Let a peer in that asked; receives may be posted before. */
  async accept(asked: CmEvent): Promise<void> {
    this.#ready(asked);
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

  /** @param peer what it asked for, or answered */
  #ready({ responderResources, initiatorDepth }: CmEvent): void {
    const at = LAYOUT.ibv_qp_attr;
    const reads = this.#reads;
    reads.accepted = Math.min(reads.accepted, responderResources);
    reads.initiated = Math.min(reads.initiated, initiatorDepth);
    const { timeout, retries, receiverNotReadyRetries, receiverNotReadyTimer } = this.options;
    this.#to(VALUES.IBV_QPS_RTR, 'to RTR', (attributes) => {
      // The connection manager would have what the peer asked for, not what it is told.
      attributes.writeUInt8(reads.accepted, at.max_dest_rd_atomic);
      attributes.writeUInt8(receiverNotReadyTimer, at.min_rnr_timer);
      return VALUES.IBV_QP_MAX_DEST_RD_ATOMIC | VALUES.IBV_QP_MIN_RNR_TIMER;
    });
    this.#to(VALUES.IBV_QPS_RTS, 'to RTS', (attributes) => {
      attributes.writeUInt8(timeout, at.timeout);
      attributes.writeUInt8(retries, at.retry_cnt);
      attributes.writeUInt8(receiverNotReadyRetries, at.rnr_retry);
      attributes.writeUInt8(reads.initiated, at.max_rd_atomic);
      return (
        VALUES.IBV_QP_TIMEOUT |
        VALUES.IBV_QP_RETRY_CNT |
        VALUES.IBV_QP_RNR_RETRY |
        VALUES.IBV_QP_MAX_QP_RD_ATOMIC
      );
    });
  }

  /** @param change of what the connection manager says; returns the mask of what it changed */
  #to(state: number, what: string, change: (attributes: Buffer) => number): void {
    const { attributes, mask } = this.id.attributes(state);
    this.queuePair.modify(attributes, mask | change(attributes), what);
  }
}
