import koffi from 'koffi';
import { regcacheError, systemError } from '../errors.js';
import { E } from '../system/libc.js';
import { watchReadable, type ReadableWatch } from '../system/readable.js';
import { LAYOUT } from './layout.js';
import { libibverbs, readUint32, verbsError } from './library.js';

interface Waiter {
  resolve: () => void;
  reject: (reason: Error) => void;
}

/**
 * The completion channel of one completion queue, on the event loop: an event follows the first completion after the
 * queue was armed (ibv_get_cq_event(3)). The process stays alive for it only while somebody waits.
 */
export class CompletionEvents {
  /** The library's channel, to be given to ibv_create_cq(3). */
  readonly pointer: number;
  readonly #fd: number;
  readonly #waiters = new Set<Waiter>();
  // What ibv_get_cq_event fills in: the queue, and a number of the user's that is not used.
  readonly #cq = new BigUint64Array(new ArrayBuffer(8));
  readonly #user = new BigUint64Array(new ArrayBuffer(8));
  #watch: ReadableWatch | undefined;
  #closed = false;

  constructor(context: number) {
    this.pointer = libibverbs().createCompChannel(context);
    if (this.pointer === 0) throw systemError(koffi.errno(), 'ibv_create_comp_channel');
    this.#fd = readUint32(this.pointer + LAYOUT.ibv_comp_channel.fd);
  }

  /** Resolves at the next event; rejects when the queue is closed or the signal aborts. */
  next(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#watch?.unref();
        act();
      };
      const waiter: Waiter = {
        resolve: () => {
          settle(resolve);
        },
        reject: (reason) => {
          settle(() => {
            reject(reason);
          });
        },
      };
      const onAbort = (): void => {
        waiter.reject(signal!.reason as Error);
      };
      if (signal?.aborted === true) {
        onAbort();
        return;
      }
      this.#watch ??= watchReadable(this.#fd, () => {
        this.#onReadable();
      });
      this.#watch.ref();
      signal?.addEventListener('abort', onAbort);
      this.#waiters.add(waiter);
    });
  }

  /** To be called after the completion queue was destroyed. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#unwatch();
    const result = libibverbs().destroyCompChannel(this.pointer);
    if (result === 0) this.#closed = true;
    const error = regcacheError('ERR_CLOSED', 'the completion queue was closed while waiting on it');
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    if (result !== 0) throw verbsError(result, 'ibv_destroy_comp_channel');
  }

  #unwatch(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  #onReadable(): void {
    const library = libibverbs();
    const result = library.getCqEvent(this.pointer, this.#cq, this.#user);
    // At once, with no function or loop in between, where worker.terminate() could stop this thread: ibv_destroy_cq waits
    // until every event was acknowledged.
    if (result === 0) library.ackCqEvents(this.#cq[0], 1);
    const errno = koffi.errno();
    const waiters = [...this.#waiters];
    if (result === 0) {
      for (const waiter of waiters) waiter.resolve();
    } else if (errno !== E.EAGAIN) {
      // It would be readable for ever.
      this.#unwatch();
      for (const waiter of waiters) waiter.reject(systemError(errno, 'ibv_get_cq_event'));
    }
  }
}
