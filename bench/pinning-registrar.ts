import { systemError } from '../src/errors.js';
import { addressOf } from '../src/memory/locate.js';
import { prefault } from '../src/memory/prefault.js';
import type { Registrar } from '../src/cache/registrar.js';
import { close, E } from '../src/system/libc.js';
import { pointerTo, raw } from './system-calls.js';

// linux/io_uring.h
const PARAMETERS_BYTES = 120;
/** Linux 5.19. */
const REGISTER_BUFFERS2 = 15;
const REGISTER_BUFFERS_UPDATE = 16;
const RSRC_REGISTER_SPARSE = 1;
/** IORING_MAX_REG_BUFFERS */
const BUFFERS = 2 ** 14;

/**
 * Stands in for a device where there is none: the kernel pins memory for it as it does for ibv_reg_mr(3), page by page,
 * for long, counted in VmPin and against the limit of locked memory, as registered buffers of an io_uring. No card
 * learns of them, so that it costs less than a device. One buffer is 1 GiB at most, and there are 16,384.
 */
export class PinningRegistrar implements Registrar<number> {
  readonly kind = 'io_uring (stand-in)';
  readonly #ring: number;
  readonly #free = Array.from({ length: BUFFERS }, (_, n) => BUFFERS - 1 - n);
  /** `struct iovec`: address and length. */
  readonly #buffer = new BigUint64Array(2);
  /** `struct io_uring_rsrc_update2`: offset, data, tags, number */
  readonly #update = Buffer.alloc(32);
  readonly #updateAddress = addressOf(this.#update);

  /** @throws the system's error: EPERM where io_uring is forbidden, EINVAL where the kernel is older than 5.19 */
  constructor() {
    this.#ring = raw('io_uring_setup', 1, pointerTo(Buffer.alloc(PARAMETERS_BYTES)));
    const table = Buffer.alloc(32);
    table.writeUInt32LE(BUFFERS, 0);
    table.writeUInt32LE(RSRC_REGISTER_SPARSE, 4);
    raw('io_uring_register', this.#ring, REGISTER_BUFFERS2, pointerTo(table), table.length);
    this.#update.writeBigUInt64LE(BigInt(addressOf(this.#buffer)), 8);
    this.#update.writeUInt32LE(1, 24);
  }

  prefault(start: number, length: number, write: boolean): void {
    prefault(start, length, write);
  }

  register(start: number, length: number): number {
    const index = this.#free.pop();
    if (index === undefined) throw systemError(E.ENOSPC, 'io_uring_register');
    try {
      this.#set(index, start, length);
    } catch (error) {
      this.#free.push(index);
      throw error;
    }
    return index;
  }

  deregister(index: number): void {
    this.#set(index, 0, 0);
    this.#free.push(index);
  }

  lkey(index: number): number {
    return index;
  }

  rkey(index: number): number {
    return index;
  }

  close(): void {
    close(this.#ring);
  }

  #set(index: number, start: number, length: number): void {
    this.#buffer[0] = BigInt(start);
    this.#buffer[1] = BigInt(length);
    this.#update.writeUInt32LE(index, 0);
    raw('io_uring_register', this.#ring, REGISTER_BUFFERS_UPDATE, this.#updateAddress, this.#update.length);
  }
}
