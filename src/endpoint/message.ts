import type { WorkCompletion } from '../verbs/work-completion.js';

/** What arrived. */
export interface Received {
  /** A message that was sent, or the news of a write with immediate data. */
  readonly kind: 'send' | 'write';
  /** Bytes received, or written. */
  readonly byteLength: number;
  /** 32 bits that came with it, if it carried them. */
  readonly immediate?: number;
}

export function receivedOf({ opcode, byteLength, immediate }: WorkCompletion): Received {
  return {
    kind: opcode === 'RECV' ? 'send' : 'write',
    byteLength,
    ...(immediate === undefined ? {} : { immediate }),
  };
}

/** A message in one of the endpoint's own buffers, until its release. */
export class Message implements Received, Disposable {
  readonly kind: 'send' | 'write';
  readonly byteLength: number;
  declare readonly immediate?: number;
  /** The bytes themselves, no copy: another message may be there after the release. Empty for a write. */
  readonly data: Buffer;
  #release: (() => void) | undefined;

  /** @internal */
  constructor(received: Received, data: Buffer, release: () => void) {
    this.kind = received.kind;
    this.byteLength = received.byteLength;
    if (received.immediate !== undefined) this.immediate = received.immediate;
    this.data = data;
    this.#release = release;
  }

  /** Let the buffer take another message. Idempotent. */
  release(): void {
    this.#release?.();
    this.#release = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
