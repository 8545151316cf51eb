import { createHash, type Hash } from 'node:crypto';
import { Transform, Writable } from 'node:stream';

/** Lets bytes pass, counted and hashed. */
export class Passing extends Transform {
  bytes = 0;
  readonly #hash: Hash = createHash('sha256');

  override _transform(
    chunk: Buffer,
    _: BufferEncoding,
    callback: (error: null, chunk: Buffer) => void,
  ): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    callback(null, chunk);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Where a program would do something with what came back. */
export class Nowhere extends Writable {
  override _write(_chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    callback();
  }
}
