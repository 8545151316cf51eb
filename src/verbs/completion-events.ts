import koffi from 'koffi';
import { regcacheError, systemError } from '../errors.js';
import { LAYOUT } from './layout.js';
import { libibverbs, readUint32, verbsError } from './library.js';

type PollHandle = ReturnType<typeof koffi.node.poll>;

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
  readonly #cq = Buffer.alloc(8);
  readonly #user = Buffer.alloc(8);
  #handle: PollHandle | undefined;
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
        if (this.#waiters.size === 0) this.#handle?.stop();
      };
      if (signal?.aborted === true) {
        onAbort();
        return;
      }
      signal?.addEventListener('abort', onAbort);
      this.#waiters.add(waiter);
      this.#listen();
    });
  }

  /** To be called after the completion queue was destroyed. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#handle?.close();
    this.#handle = undefined;
    const result = libibverbs().destroyCompChannel(this.pointer);
    if (result === 0) this.#closed = true;
    const error = regcacheError('ERR_CLOSED', 'the completion queue was closed while waiting on it');
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    if (result !== 0) throw verbsError(result, 'ibv_destroy_comp_channel');
  }

  /** A stopped handle does not keep the process alive. */
  #listen(): void {
    const onReadable = (): void => {
      this.#onReadable();
    };
    if (this.#handle === undefined) this.#handle = koffi.node.poll(this.#fd, { readable: true }, onReadable);
    else if (this.#waiters.size === 1) this.#handle.start({ readable: true }, onReadable);
  }

  #onReadable(): void {
    this.#handle?.stop();
    const library = libibverbs();
    const result = library.getCqEvent(this.pointer, this.#cq, this.#user);
    const errno = koffi.errno();
    const waiters = [...this.#waiters];
    if (result !== 0) {
      for (const waiter of waiters) waiter.reject(systemError(errno, 'ibv_get_cq_event'));
      return;
    }
    // At once: ibv_destroy_cq waits until every event was acknowledged.
    library.ackCqEvents(Number(this.#cq.readBigUInt64LE()), 1);
    for (const waiter of waiters) waiter.resolve();
  }
}
