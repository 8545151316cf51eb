import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { Access, checkAccess, REMOTE_ACCESS } from '../access.js';
import { aborted } from '../cache/aborted.js';
import type { RegistrationCache } from '../cache/cache.js';
import { regcacheError, RegcacheError } from '../errors.js';
import { jsonOf, showFacts, type Stylizing } from '../inspection.js';
import type { Memory } from '../memory/locate.js';
import { checkSignal, takeOptions } from '../options.js';
import { completionError, type WorkCompletion } from '../verbs/work-completion.js';
import { ReceiveRequests, SendRequests } from '../verbs/work-request.js';
import { AtomicResults } from './atomic-results.js';
import { Batch } from './batch.js';
import { ExposedMemory } from './exposed-memory.js';
import { Link } from './link.js';
import type { Message, Received } from './message.js';
import { ReceivePool } from './receive-pool.js';
import type { RemoteMemory } from './remote-memory.js';
import {
  compareAndSwapTask,
  fetchAndAddTask,
  type Limits,
  readTask,
  receiveTask,
  REMOTE,
  type RemoteOptions,
  SEND,
  type SendOptions,
  type SendTask,
  sendTask,
  WRITE,
  type WriteOptions,
  writeTask,
} from './tasks.js';
import { Tickets } from './tickets.js';
import { WorkQueue } from './work-queue.js';

/** An operation that is given up before its turn is not done; one that is posted is, but nobody waits for it. */
export interface Abortable {
  signal?: AbortSignal;
}

export interface EndpointEvents {
  /** It is closed: by the program, by the peer, or by what went wrong. */
  close: [error: RegcacheError | undefined];
}

/**
 * One end of a reliable connection. Memory is any Buffer or other memory; it is registered through the cache when the
 * request is posted and released at its completion: nothing is copied. Until a promise settles the memory must be left
 * alone, and after an abort until `idle()`. The first request that fails breaks the connection.
 *
 * The promises reject with `ERR_WORK_COMPLETION` and the status of a request that failed itself, `ERR_DISCONNECTED` when
 * the connection ended first, `ERR_CLOSED` when this side closed it, and with what the cache's `acquire` throws.
 */
export class Endpoint extends EventEmitter<EndpointEvents> implements AsyncDisposable {
  readonly #link: Link;
  readonly #tickets = new Tickets();
  readonly #sends: WorkQueue<SendRequests>;
  readonly #receives: WorkQueue<ReceiveRequests> | undefined;
  readonly #pool: ReceivePool | undefined;
  readonly #limits: Limits;
  readonly #exposed = new Set<ExposedMemory>();
  #closing = false;
  /** Why nothing is posted any more. */
  #ended: RegcacheError | undefined;
  #released: Promise<void> | undefined;

  /** @internal @throws ERR_INVALID_OPTION for who has no link; what `ReceivePool` throws */
  constructor(link: Link) {
    super();
    if (!(link instanceof Link)) {
      throw regcacheError('ERR_INVALID_OPTION', 'an endpoint is made by connect() or a listener');
    }
    this.#link = link;
    const { domain, options, queuePair, maxMessage } = link;
    const { cache } = domain;
    const tickets = this.#tickets;
    const broken = (error: RegcacheError): void => {
      this.#end(disconnected(error));
    };
    this.#limits = { maxMessage, results: new AtomicResults(cache, options.sendDepth) };
    const sends = new SendRequests(options.sendDepth);
    const common = { cache, tickets, broken };
    this.#sends = new WorkQueue({
      ...common,
      depth: options.sendDepth,
      list: sends,
      abortsPosted: true,
      post: () => {
        queuePair.postSend(sends);
      },
    });
    if (options.receiveBuffers > 0) {
      const { receiveBuffers: buffers, receiveSize: size } = options;
      this.#pool = new ReceivePool(queuePair, cache, tickets, { buffers, size, broken });
      return;
    }
    const receives = new ReceiveRequests(1);
    this.#receives = new WorkQueue({
      ...common,
      depth: options.receiveDepth,
      list: receives,
      abortsPosted: false,
      post: () => {
        queuePair.postReceive(receives);
      },
    });
  }

  /**
   * @internal Be ready for what the peer sends, before it can.
   * @throws what `postReceive` throws
   */
  start(): void {
    this.#pool?.start();
    const { id } = this.#link;
    id.onEvent = ({ kind }) => {
      if (kind === 'DISCONNECTED') this.#disconnected();
    };
    id.onLost = (error) => {
      this.#end(disconnected(error));
    };
    if (!this.#link.options.polling) void this.#takeEvents();
  }

  /**
   * The cache that memory is registered through. When the last endpoint and listener that share it are closed, it ends
   * with the last release of what the program has acquired from it itself.
   */
  get cache(): RegistrationCache {
    return this.#link.domain.cache;
  }

  get closed(): boolean {
    return this.#ended !== undefined;
  }

  /** Sends, writes, reads and atomics that are not done yet. */
  get outstanding(): number {
    return this.#sends.size;
  }

  /** @internal Messages that have arrived in the endpoint's buffers, and nobody has taken. */
  get arrived(): number {
    return this.#pool?.arrived ?? 0;
  }

  /**
   * Send bytes, or with `undefined` none, as one message.
   * @returns bytes sent, when the peer's device has them
   */
  async send(memory: Memory | undefined, options: SendOptions & Abortable = {}): Promise<number> {
    const { signal, ...rest } = take(options, SEND);
    return this.#submit(sendTask(this.#limits, memory, rest), signal);
  }

  /** Write bytes into the peer's memory. @returns bytes written */
  async write(memory: Memory, remote: RemoteMemory, options: WriteOptions & Abortable = {}): Promise<number> {
    const { signal, ...rest } = take(options, WRITE);
    return this.#submit(writeTask(this.#limits, memory, remote, rest), signal);
  }

  /** Fill memory with bytes of the peer's. @returns bytes read */
  async read(memory: Memory, remote: RemoteMemory, options: RemoteOptions & Abortable = {}): Promise<number> {
    const { signal, ...rest } = take(options, REMOTE);
    return this.#submit(readTask(this.#limits, memory, remote, rest), signal);
  }

  /** Replace 8 bytes of the peer's if they equal `compare`. @returns what was there before */
  async compareAndSwap(
    remote: RemoteMemory,
    compare: bigint,
    swap: bigint,
    options: RemoteOptions & Abortable = {},
  ): Promise<bigint> {
    const { signal, ...rest } = take(options, REMOTE);
    return this.#submit(compareAndSwapTask(this.#limits, remote, compare, swap, rest), signal);
  }

  /** Add to 8 bytes of the peer's. @returns what was there before */
  async fetchAndAdd(
    remote: RemoteMemory,
    add: bigint,
    options: RemoteOptions & Abortable = {},
  ): Promise<bigint> {
    const { signal, ...rest } = take(options, REMOTE);
    return this.#submit(fetchAndAddTask(this.#limits, remote, add, rest), signal);
  }

  /** Requests to be posted with one call, at most `sendDepth`. */
  batch(): Batch {
    return new Batch(this.#limits, (tasks, signal) => {
      checkSignal(signal);
      this.#requireOpen();
      return this.#sends.submit(tasks, signal);
    });
  }

  /**
   * The next message. One that has arrived can be had after the connection has ended, too.
   * @returns in a buffer of the endpoint's own; `release()` it, or no more can arrive once all are taken
   */
  receive(memory?: undefined, options?: Abortable): Promise<Message>;
  /**
   * With `receiveBuffers: 0`: have the next message received into this memory. The signal gives it up until it is
   * posted; from then on the memory is for the message.
   */
  receive(memory: Memory, options?: Abortable): Promise<Received>;
  async receive(memory?: Memory, options: Abortable = {}): Promise<Message | Received> {
    const { signal } = take(options, []);
    if (memory === undefined) {
      if (this.#pool !== undefined) return this.#pool.receive(signal);
      throw regcacheError('ERR_INVALID_OPTION', 'this endpoint has no receive buffers: receive(memory)');
    }
    if (this.#receives === undefined) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        'this endpoint has receive buffers of its own; receiving into memory needs { receiveBuffers: 0 }',
      );
    }
    this.#requireOpen();
    return this.#receives.submit([receiveTask(memory)], signal)[0];
  }

  /**
   * The messages as they arrive; each is released when the next is asked for. Ends when either side closes the
   * connection, or the peer's process ends; throws when something broke it.
   */
  async *messages(options: Abortable = {}): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      let message: Message;
      try {
        message = await this.receive(undefined, options);
      } catch (error) {
        const ended = this.#ended;
        if (error === ended && ended?.cause === undefined) return;
        throw error;
      }
      try {
        yield message;
      } finally {
        message.release();
      }
    }
  }

  /**
   * Let the peer reach memory, until the result or the endpoint is closed. Registers and pins it anew each time, past the
   * cache, also what is exposed already: expose memory that is used again and again once, and keep the result.
   * @param access bits of Access; default to read and write
   * @throws ERR_INVALID_ACCESS for rights of no use to a peer, ERR_CLOSED, and what the cache's `acquire` throws
   */
  expose(memory: Memory, access: number = READ_AND_WRITE): ExposedMemory {
    checkAccess(access);
    if ((access & REMOTE_ACCESS) === 0) {
      throw regcacheError('ERR_INVALID_ACCESS', 'exposing memory takes rights for the peer: REMOTE_*');
    }
    this.#requireOpen();
    // Of its own: another's registration of the same bytes would keep the rkey good.
    const exposed = new ExposedMemory(this.cache.acquireUncached(memory, access), (closed) => {
      this.#exposed.delete(closed);
    });
    this.#exposed.add(exposed);
    return exposed;
  }

  /**
   * Take in what is done, without waiting: for endpoints made with `polling`.
   * @returns how many requests were done
   */
  poll(): number {
    // While it is being closed, what is outstanding is still to be taken in.
    if (this.#ended !== undefined) throw this.#ended;
    const found = this.#link.completions.poll();
    this.#takeIn(found);
    return found.length;
  }

  /**
   * Settles when nothing is outstanding, not even what was aborted, and no memory is posted for a message: all memory is
   * the program's again.
   * @param options.signal gives up waiting; rejects with its reason
   */
  async idle(options: Abortable = {}): Promise<void> {
    const { signal } = take(options, []);
    await aborted(Promise.all([this.#sends.idle(), this.#receives?.idle()]), signal);
  }

  /**
   * Take nothing more in, wait until the sends, writes, reads and atomics are done, disconnect, and settle when the memory
   * is deregistered. Memory posted for messages is not waited for. With `polling`, keep polling meanwhile.
   *
   * A peer that gives no receive buffer free is waited for without end: two ends that close while each waits for the
   * other's buffers would never come to an end. Give a signal, or call `destroy()`.
   * @param options.signal gives up waiting: disconnects as `destroy()` does, and rejects with its reason
   */
  async close(options: Abortable = {}): Promise<void> {
    const { signal } = take(options, []);
    this.#closing = true;
    try {
      await aborted(this.#sends.idle(), signal);
    } finally {
      this.destroy();
    }
    await this.#released;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Disconnect at once. What is outstanding fails with ERR_CLOSED, and the peer may have it or not. A `close()` that waits
   * settles.
   */
  destroy(): void {
    this.#closing = true;
    this.#end(regcacheError('ERR_CLOSED', 'the endpoint was closed'));
  }

  /** @internal */
  [inspect.custom](depth: number, options: Stylizing): string {
    return showFacts('Endpoint', () => this.#facts(), depth, options);
  }

  /** @internal */
  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(() => this.#facts());
  }

  #facts(): Readonly<Record<string, unknown>> {
    const device = this.#link.domain.protectionDomain.context.device.name;
    const { outstanding, arrived, closed, cache } = this;
    return { device, outstanding, arrived, exposed: this.#exposed.size, closed, cache };
  }

  #requireOpen(): void {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#closing) throw regcacheError('ERR_CLOSED', 'the endpoint is being closed');
  }

  async #submit<T>(task: SendTask<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#requireOpen();
    return this.#sends.submit([task], signal)[0];
  }

  async #takeEvents(): Promise<void> {
    try {
      while (this.#ended === undefined) this.#takeIn(await this.#link.completions.wait());
    } catch (error) {
      this.#end(disconnected(error as RegcacheError));
    }
  }

  /** The peer may have gone because of a request that failed here, which says more. */
  #disconnected(): void {
    try {
      while (this.#ended === undefined) {
        const found = this.#link.completions.poll();
        if (found.length === 0) break;
        this.#takeIn(found);
      }
    } catch (error) {
      this.#end(disconnected(error as RegcacheError));
    }
    this.#end(disconnected());
  }

  #takeIn(found: readonly WorkCompletion[]): void {
    const failed: WorkCompletion[] = [];
    for (const completion of found) {
      if (completion.status === 'SUCCESS') this.#tickets.done(completion);
      else failed.push(completion);
    }
    if (failed.length > 0) this.#fail(failed);
  }

  /** Tell those that failed themselves, and not because of others before them; the first is the cause of all. */
  #fail(failed: readonly WorkCompletion[]): void {
    const errors = failed
      .filter(({ status }) => status !== 'WR_FLUSH_ERR')
      .map((completion) => ({ id: completion.id, error: completionError(completion) }));
    const error = this.#ended ?? disconnected(errors[0]?.error);
    // First: the room of those that failed is none for those that wait.
    this.#stopPosting(error);
    for (const { id, error: own } of errors) this.#tickets.failed(id, own);
    this.#end(error);
  }

  #stopPosting(error: RegcacheError): void {
    this.#sends.end(error);
    this.#receives?.end(error);
  }

  /** Take everything apart, once. */
  #end(error: RegcacheError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    const link = this.#link;
    const { queuePair, completions, domain } = link;
    this.#stopPosting(error);
    try {
      queuePair.toError();
    } catch {
      // It is destroyed all the same.
    }
    try {
      // What is done is done, also when nobody has looked yet.
      for (let found = completions.poll(); found.length > 0; found = completions.poll()) this.#takeIn(found);
    } catch {
      // Of what cannot be read nobody knows whether it was done: it fails.
    }
    try {
      link.close();
    } catch (cause) {
      this.#abandon(disconnected(cause as RegcacheError));
      return;
    }
    this.#tickets.allFailed(error);
    this.#pool?.end(error);
    this.#limits.results.end();
    for (const exposed of this.#exposed) exposed.close();
    this.#released = domain.release();
    this.#released.catch(() => undefined);
    this.#tellClosed(error.code === 'ERR_CLOSED' ? undefined : error);
  }

  /**
   * Nobody waits any longer. The device may still read and write what is registered for it: that stays registered until
   * the process ends.
   */
  #abandon(error: RegcacheError): void {
    this.#tickets.allGivenUp(error);
    this.#pool?.giveUp(error);
    this.#sends.abandon();
    this.#receives?.abandon();
    this.#tellClosed(error);
  }

  /** After the operation, and not inside it. */
  #tellClosed(error: RegcacheError | undefined): void {
    queueMicrotask(() => this.emit('close', error));
  }
}

const READ_AND_WRITE = Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE;

function take<T extends Abortable>(options: T, names: readonly string[]): T {
  const taken = takeOptions(options, ['signal', ...names]);
  checkSignal(taken.signal);
  return taken;
}

/** @param cause what broke the connection; undefined when the peer ended it */
function disconnected(cause?: RegcacheError): RegcacheError {
  return cause === undefined
    ? regcacheError('ERR_DISCONNECTED', 'the peer closed the connection, or its process ended')
    : regcacheError('ERR_DISCONNECTED', `the connection broke: ${cause.reason}`, {
        cause,
        ...(cause.status === undefined ? {} : { status: cause.status }),
      });
}
