import { Duplex } from 'node:stream';
import type { Endpoint, Message } from 'rdma-regcache';

export interface EndpointStreamOptions {
  /** The longest message, in bytes: at most the peer's `receiveSize`. Default 65536. */
  messageBytes?: number;
  /**
   * Messages that may be on their way to a peer that does not read: the same number at both ends, from 4 to three
   * quarters of the `receiveBuffers` of either. Default 16.
   */
  window?: number;
}

/** The immediate value of the last message; others of empty messages are numbers of messages that were read. */
const END = 0;

/**
 * An endpoint as a stream of bytes, for `pipeline` and whatever else takes streams; the peer has one, too. This file
 * is all there is to it: copy it.
 *
 * Backpressure goes from the peer's reader to the writer here. A message stays in one of the peer's receive buffers
 * until somebody reads it, and then the peer tells, in an empty message, that there is room again. (Without that, the
 * device would send again and again what the peer has no buffer for.)
 *
 * The stream closes the endpoint when it has come to its end in both directions, or is destroyed. As of a socket: what
 * arrives has to be read, or thrown away with `resume()`; the writable side ends when the readable one has, unless it is
 * made with `allowHalfOpen`; and to iterate over it closes it in both directions.
 */
export class EndpointStream extends Duplex {
  readonly #endpoint: Endpoint;
  readonly #messageBytes: number;
  readonly #window: number;

  /** Arrived, and still in the endpoint's buffers; `END` after the last. */
  readonly #arrived: (Message | typeof END)[] = [];
  #wanted = false;
  /** Messages that were read, of which the peer has not been told. */
  #read = 0;
  #endArrived = false;

  /** Messages that the peer has room for. */
  #room: number;
  #whenRoom: (() => void) | undefined;
  #endSent = false;

  constructor(
    endpoint: Endpoint,
    {
      messageBytes = 65_536,
      window = 16,
      allowHalfOpen = false,
    }: EndpointStreamOptions & { allowHalfOpen?: boolean } = {},
  ) {
    // So much is written at a time: enough to keep the wire busy until the peer tells of room.
    super({ allowHalfOpen, writableHighWaterMark: window * messageBytes });
    this.#endpoint = endpoint;
    this.#messageBytes = messageBytes;
    this.#window = window;
    this.#room = window;
    void this.#receive();
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send([chunk]).then(() => {
      callback();
    }, callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this.#send(chunks.map(({ chunk }) => chunk)).then(() => {
      callback();
    }, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#endSent = true;
    this.#endpoint.send(undefined, { immediate: END }).then(() => {
      callback();
    }, callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // The peer has not had all: it is to see the connection break off.
    if (!this.#endSent || !this.#endArrived) this.#endpoint.destroy();
    this.#whenRoom?.();
    this.#endpoint.close().then(
      () => {
        callback(error);
      },
      (cause: unknown) => {
        callback(error ?? (cause as Error));
      },
    );
  }

  /** Settles when the peer's device has all of it: until then the chunks are the stream's. */
  async #send(chunks: readonly Buffer[]): Promise<void> {
    const sends: Promise<number>[] = [];
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += this.#messageBytes) {
        while (this.#room === 0 && !this.destroyed)
          await new Promise<void>((resolve) => (this.#whenRoom = resolve));
        this.#room--;
        const send = this.#endpoint.send(chunk.subarray(at, at + this.#messageBytes));
        // One that fails meanwhile is met below.
        send.catch(() => undefined);
        sends.push(send);
      }
    }
    await Promise.all(sends);
  }

  /** Take in what arrives, at once: data waits here, but the news of room must not wait behind it. */
  async #receive(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#endpoint.receive();
        const { immediate } = message;
        if (immediate === undefined) {
          this.#arrived.push(message);
          this.#deliver();
          continue;
        }
        message.release();
        if (immediate === END) {
          this.#endArrived = true;
          this.#arrived.push(END);
          this.#deliver();
        } else {
          this.#room += immediate;
          this.#whenRoom?.();
        }
      }
    } catch (error) {
      // When both have told the end, it does not matter who disconnects first.
      if (!this.#endSent || !this.#endArrived) this.destroy(error as Error);
    }
  }

  #deliver(): void {
    while (this.#wanted && this.#arrived.length > 0) {
      const message = this.#arrived.shift()!;
      if (message === END) {
        this.#wanted = false;
        this.push(null);
        return;
      }
      // A copy: whoever reads it may keep it, and another message is to have the buffer.
      this.#wanted = false;
      if (this.push(Buffer.from(message.data))) this.#wanted = true;
      message.release();
      this.#tellRoom();
    }
  }

  /** Not for each message: for a quarter of the window at a time. */
  #tellRoom(): void {
    if (++this.#read < this.#window / 4 || this.#endArrived) return;
    const immediate = this.#read;
    this.#read = 0;
    // One that fails does so because the connection ended, which is met where messages are received.
    this.#endpoint.send(undefined, { immediate }).catch(() => undefined);
  }
}
