interface Waiter<T> {
  resolve(value: T): void;
  reject(reason: Error): void;
}

/** What arrives, and those who wait for it, both in order. */
export class Arrivals<T> {
  #arrived: T[] = [];
  readonly #waiters = new Set<Waiter<T>>();
  #ended: Error | undefined;

  /** How many have arrived that nobody has taken. */
  get length(): number {
    return this.#arrived.length;
  }

  push(value: T): void {
    if (this.#waiters.size === 0) this.#arrived.push(value);
    else [...this.#waiters][0].resolve(value);
  }

  /** Rejects with the reason of the signal, or with the error of the end once nothing is left. */
  next(signal: AbortSignal | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#arrived.length > 0) {
        resolve(this.#arrived.shift()!);
        return;
      }
      if (this.#ended !== undefined) throw this.#ended;
      const abort = (): void => {
        waiter.reject(signal!.reason as Error);
      };
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter<T> = {
        resolve: (value) => {
          leave();
          resolve(value);
        },
        reject: (reason) => {
          leave();
          reject(reason);
        },
      };
      signal?.addEventListener('abort', abort);
      this.#waiters.add(waiter);
    });
  }

  /** Nothing more arrives. */
  end(error: Error): void {
    this.#ended = error;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  /** Let go of those that have arrived, and are of no use. */
  drop(useless: (value: T) => boolean): void {
    this.#arrived = this.#arrived.filter((value) => !useless(value));
  }

  /** What nobody has taken, and nobody will. */
  takeAll(): T[] {
    return this.#arrived.splice(0);
  }
}
