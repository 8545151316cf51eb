import type { Registration } from '../cache/registration.js';
import type { RemoteMemory } from './remote-memory.js';

/** Memory of this side that the peer may reach until it is closed, or the endpoint is. JSON.stringify makes of it what the peer needs. */
export class ExposedMemory implements RemoteMemory, Disposable {
  readonly address: number;
  readonly length: number;
  readonly rkey: number;
  #close: (() => void) | undefined;

  /** @internal @param closed told when it is closed, once */
  constructor(registration: Registration, closed: (memory: ExposedMemory) => void) {
    this.address = registration.address;
    this.length = registration.length;
    this.rkey = registration.rkey;
    this.#close = () => {
      registration.release();
      closed(this);
    };
  }

  /**
   * The peer may not reach it any more: it gets REM_ACCESS_ERR, which breaks the connection. Of so many bytes that the
   * cache deregisters them on another thread (`deregisterOffThreadFrom`) that holds a moment later. Idempotent.
   */
  close(): void {
    const close = this.#close;
    this.#close = undefined;
    close?.();
  }

  toJSON(): RemoteMemory {
    const { address, length, rkey } = this;
    return { address, length, rkey };
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
