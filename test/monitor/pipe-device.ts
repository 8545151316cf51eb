import assert from 'node:assert/strict';
import koffi from 'koffi';
import type { Registration } from '../../src/cache/registration.js';
import { systemError } from '../../src/errors.js';
import { prefault } from '../../src/memory/prefault.js';
import type { Device } from './cache-on-top.js';
import { close, errno, fcntl, O_CLOEXEC, O_NONBLOCK, PAGE_SIZE, read } from '../../src/system/libc.js';

const libc = koffi.load(null);
const pipe2 = libc.func('int pipe2(void *ends, int flags)') as (ends: Int32Array, flags: number) => number;
const vmsplice = libc.func('intptr_t vmsplice(int fd, void *vector, size_t count, unsigned int flags)') as (
  fd: number,
  vector: BigUint64Array,
  count: number,
  flags: number,
) => number;
const tee = libc.func('intptr_t tee(int from, int to, size_t length, unsigned int flags)') as (
  ...args: number[]
) => number;

const F_SETPIPE_SZ = 1031;

class Pipe {
  readonly from: number;
  readonly to: number;

  /** @param length bytes that it holds, at any offset in their pages; up to fs.pipe-max-size */
  constructor(length: number) {
    const ends = new Int32Array(2);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) === -1) throw systemError(errno(), 'pipe2');
    [this.from, this.to] = ends;
    if (length > USUAL_ROOM && fcntl(this.to, F_SETPIPE_SZ, length + PAGE_SIZE) === -1) {
      const error = errno();
      this.close();
      throw systemError(error, 'F_SETPIPE_SZ');
    }
  }

  close(): void {
    close(this.from);
    close(this.to);
  }
}

const USUAL_ROOM = 15 * PAGE_SIZE;

interface Region {
  readonly key: number;
  readonly length: number;
  readonly pipe: Pipe;
}

/**
 * A device without hardware: its registrations hold the very pages that the addresses map to at that moment, as
 * vmsplice(2) puts pages into a pipe, and what it reads is what is in those pages, wherever the addresses map to by then.
 */
export class PipeDevice implements Device<Region> {
  readonly kind = 'pipe';
  readonly #regions = new Map<number, Region>();
  #nextKey = 1;
  readonly prefault = prefault;

  register(start: number, length: number): Region {
    const region: Region = { key: this.#nextKey++, length, pipe: new Pipe(length) };
    const vector = BigUint64Array.of(BigInt(start), BigInt(length));
    const held = vmsplice(region.pipe.to, vector, 1, 0);
    if (held !== length) {
      const error = errno();
      region.pipe.close();
      throw systemError(error, 'vmsplice');
    }
    this.#regions.set(region.key, region);
    return region;
  }

  deregister(region: Region): void {
    assert.ok(this.#regions.delete(region.key));
    region.pipe.close();
  }

  lkey(region: Region): number {
    return region.key;
  }

  rkey(region: Region): number {
    return region.key;
  }

  read(registration: Registration, address: number, wanted: number): Buffer {
    const { length, pipe } = this.#regions.get(registration.lkey)!;
    const copy = new Pipe(length);
    const bytes = Buffer.alloc(length);
    assert.equal(tee(pipe.from, copy.to, length, 0), length);
    assert.equal(read(copy.from, bytes, length), length);
    copy.close();
    return bytes.subarray(address - registration.address).subarray(0, wanted);
  }

  close(): void {
    assert.equal(this.#regions.size, 0);
  }
}
