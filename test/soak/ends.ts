import { KEPT } from '../../bench/coverage/kept.js';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { addressOf } from '../../src/memory/locate.js';
import { Access } from '../../src/access.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache, type CreateCacheOptions } from '../../src/create-cache.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import type { CompletionQueue } from '../../src/verbs/completion-queue.js';
import { openDevice } from '../../src/verbs/device.js';
import type { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import { completionError } from '../../src/verbs/work-completion.js';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';

/** Bytes of the longest message. */
export const MAX_MESSAGE = 16 * PAGE_SIZE;

/** How the caches of a thread are made. */
export interface Setup {
  readonly name: string;
  /** Both caches are on one monitor. */
  readonly oneMonitor: boolean;
  readonly options: CreateCacheOptions;
}

/** Small limits, so that there is always something to give up. */
export const SETUPS: readonly Setup[] = [
  { name: 'a monitor each', oneMonitor: false, options: { maxRegistrations: 40 } },
  {
    name: 'one monitor, large ones by other threads, remote rights kept',
    oneMonitor: true,
    options: {
      maxPinnedBytes: 2 ** 20,
      keepRemote: true,
      registerOffThreadFrom: 8 * PAGE_SIZE,
      deregisterOffThreadFrom: 8 * PAGE_SIZE,
    },
  },
  {
    name: 'one monitor, merging, frames compared',
    oneMonitor: true,
    options: { maxRegistrations: 100, merge: true, checking: true, eagerDrain: false },
  },
];

/**
 * Most registrations of a cache that keeps them whatever happens. Each may pin a huge page that is mapped nowhere any
 * more.
 */
const KEPT_REGISTRATIONS = 32;
/** Huge pages that are needed for those. */
export const KEPT_HUGE_PAGES = SETUPS.length * 2 * KEPT_REGISTRATIONS;

/** A piece of memory and the key for it. */
export interface Piece {
  readonly address: number;
  readonly length: number;
  readonly key: number;
}

/** A sender and a receiver in protection domains of their own, with a cache each, and a third place to send to. */
export class Ends {
  readonly #context = openDevice();
  readonly #cq: CompletionQueue;
  readonly #pds: ProtectionDomain[];
  readonly #qps;
  /** Of the sender and of the receiver. */
  readonly caches: readonly [RegistrationCache, RegistrationCache];
  readonly #sink = allocatePageAligned(MAX_MESSAGE);
  readonly #sinkRegion;
  readonly #receive = new ReceiveRequests();
  readonly #send = new SendRequests();

  /** @param kept registrations, whatever happens to the memory, also where that would be noticed */
  constructor({ oneMonitor, options: usual }: Setup, kept: boolean) {
    const options = kept
      ? { ...usual, maxRegistrations: KEPT_REGISTRATIONS, monitor: KEPT, checking: false }
      : usual;
    this.#cq = this.#context.createCompletionQueue({ entries: 16, events: true });
    const pds = [this.#context.createProtectionDomain(), this.#context.createProtectionDomain()] as const;
    const qps = pds.map((pd) => pd.createQueuePair({ sendQueue: this.#cq, maxSends: 4, maxReceives: 4 }));
    for (const qp of qps) qp.toInit();
    qps[0].connect(qps[1].local);
    qps[1].connect(qps[0].local);
    const first = createCache(pds[0], options);
    const second = createCache(pds[1], oneMonitor ? { ...options, monitor: first.monitor } : options);
    this.caches = [first, second];
    this.#pds = [...pds];
    this.#qps = qps;
    this.#sinkRegion = pds[1].register(addressOf(this.#sink), MAX_MESSAGE, Access.LOCAL_WRITE);
  }

  async send(from: Piece, to: Piece): Promise<void> {
    const [sender, receiver] = this.#qps;
    receiver.postReceive(this.#receive.clear().receive(1, to.address, to.length, to.key));
    sender.postSend(this.#send.clear().send(2, from.address, from.length, from.key));
    await this.#completed(2);
  }

  /** Into memory that is the same all the time. */
  async sendAside(from: Piece): Promise<void> {
    await this.send(from, {
      address: addressOf(this.#sink),
      length: MAX_MESSAGE,
      key: this.#sinkRegion.lkey,
    });
  }

  /** @param to with the remote key */
  async write(from: Piece, to: Piece): Promise<void> {
    const { address, length, key } = from;
    this.#qps[0].postSend(this.#send.clear().write(3, address, length, key, to.address, to.key));
    await this.#completed(1);
  }

  /** By the receiver. @param from with the remote key */
  async read(from: Piece, to: Piece): Promise<void> {
    const { address, length, key } = to;
    this.#qps[1].postSend(this.#send.clear().read(4, address, length, key, from.address, from.key));
    await this.#completed(1);
  }

  async #completed(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      for (const completion of await this.#cq.wait()) {
        if (completion.status !== 'SUCCESS') throw completionError(completion);
        left--;
      }
    }
  }

  async close(): Promise<void> {
    for (const cache of this.caches) await cache.end();
    for (const qp of this.#qps) qp.close();
    this.#sinkRegion.close();
    for (const pd of this.#pds) pd.close();
    this.#cq.close();
    this.#context.close();
  }
}
