import koffi from 'koffi';
import { regcacheError } from '../errors.js';
import { swap32 } from './byte-order.js';
import { LAYOUT, VALUES } from './layout.js';

/** Flags of a send request (ibv_post_send(3)). */
export const SendFlag = {
  /** Wait for the RDMA reads and atomics before it. */
  FENCE: VALUES.IBV_SEND_FENCE,
  /** Report it to the completion queue when it is done; a failure is reported in any case. */
  SIGNALED: VALUES.IBV_SEND_SIGNALED,
  /** Let the peer's completion count as solicited. */
  SOLICITED: VALUES.IBV_SEND_SOLICITED,
  /** Copy the data at once: no lkey is needed and the memory may be reused. At most `maxInline` bytes. */
  INLINE: VALUES.IBV_SEND_INLINE,
} as const;

const SGE_WORDS = LAYOUT.ibv_sge.sizeof / 4;
const SGE_ADDRESS = LAYOUT.ibv_sge.addr / 4;
const SGE_LENGTH = LAYOUT.ibv_sge.length / 4;
const SGE_LKEY = LAYOUT.ibv_sge.lkey / 4;
// The same in send and receive requests.
const ID = LAYOUT.ibv_recv_wr.wr_id / 4;
const NEXT = LAYOUT.ibv_recv_wr.next / 4;
const SG_LIST = LAYOUT.ibv_recv_wr.sg_list / 4;
const NUM_SGE = LAYOUT.ibv_recv_wr.num_sge / 4;
const OPCODE = LAYOUT.ibv_send_wr.opcode / 4;
const SEND_FLAGS = LAYOUT.ibv_send_wr.send_flags / 4;
const IMMEDIATE = LAYOUT.ibv_send_wr.imm_data / 4;
const REMOTE_ADDRESS = LAYOUT.ibv_send_wr['wr.rdma.remote_addr'] / 4;
const RKEY = LAYOUT.ibv_send_wr['wr.rdma.rkey'] / 4;
const COMPARE_ADD = LAYOUT.ibv_send_wr['wr.atomic.compare_add'] / 4;
const SWAP = LAYOUT.ibv_send_wr['wr.atomic.swap'] / 4;
const ATOMIC_RKEY = LAYOUT.ibv_send_wr['wr.atomic.rkey'] / 4;

/**
 * Work requests in the library's own layout, in memory that does not move, linked so that one call posts all of them.
 * May be posted again and again, and written anew after `clear()`: posting copies it. It does not keep the memory that
 * the requests name alive or registered; that must last until their completions.
 */
abstract class Requests {
  /** Requests it has room for. */
  readonly capacity: number;
  /** Scatter/gather segments that each request has room for. */
  readonly maxSegments: number;
  /** Address of the first request, for the library. */
  readonly address: number;
  protected readonly words: Uint32Array;
  readonly #requestWords: number;
  #length = 0;

  protected constructor(requestSize: number, capacity: number, maxSegments: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || !Number.isInteger(maxSegments) || maxSegments < 1) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        `capacity and segments must be whole numbers from 1 on, not ${capacity} and ${maxSegments}`,
      );
    }
    this.capacity = capacity;
    this.maxSegments = maxSegments;
    this.#requestWords = requestSize / 4;
    const segmentsSize = maxSegments * LAYOUT.ibv_sge.sizeof;
    this.words = new Uint32Array(new ArrayBuffer(capacity * (requestSize + segmentsSize)));
    this.address = Number(koffi.address(this.words));
    // Each request owns a fixed part of the segments behind the requests.
    for (let i = 0; i < capacity; i++) {
      this.put64(i * this.#requestWords + SG_LIST, this.address + capacity * requestSize + i * segmentsSize);
    }
  }

  /** Requests written since the last `clear()`. */
  get length(): number {
    return this.#length;
  }

  /** Forget all requests; the memory is written over. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /**
   * Another scatter/gather segment for the request written last.
   * @throws RegcacheError `ERR_INVALID_LENGTH`, `ERR_INVALID_OPTION` if there is no request or no room
   */
  addSegment(address: number, length: number, lkey: number): this {
    const request = (this.#length - 1) * this.#requestWords;
    const count = request < 0 ? this.maxSegments : this.words[request + NUM_SGE];
    if (count >= this.maxSegments) {
      throw regcacheError('ERR_INVALID_OPTION', `a request has at most ${this.maxSegments} segments here`);
    }
    this.#writeSegment(this.#length - 1, count, address, length, lkey);
    return this;
  }

  /** Position in words of the next request, linked to the one before, with its first segment. */
  protected next(id: number, address: number, length: number, lkey: number): number {
    const index = this.#length;
    if (index === this.capacity) {
      throw regcacheError('ERR_INVALID_OPTION', `there is room for ${this.capacity} requests`);
    }
    if (!Number.isSafeInteger(id) || id < 0) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        `an id is a whole number from 0 to 2^53 - 1, not ${String(id)}`,
      );
    }
    const request = index * this.#requestWords;
    this.words[request + NUM_SGE] = 0;
    this.#writeSegment(index, 0, address, length, lkey);
    this.put64(request + ID, id);
    this.put64(request + NEXT, 0);
    if (index > 0) this.put64(request - this.#requestWords + NEXT, this.address + request * 4);
    this.#length = index + 1;
    return request;
  }

  protected put64(at: number, value: number): void {
    this.words[at] = value;
    this.words[at + 1] = value / 0x1_0000_0000;
  }

  /** Index of the request at an address: what the library reports of a failed call. */
  indexOf(address: number): number {
    return (address - this.address) / (this.#requestWords * 4);
  }

  #writeSegment(index: number, segment: number, address: number, length: number, lkey: number): void {
    if (length >>> 0 !== length) {
      throw regcacheError('ERR_INVALID_LENGTH', `a segment has at most 2^32 - 1 bytes, not ${length}`);
    }
    if (!Number.isSafeInteger(address) || address < 0) {
      throw regcacheError('ERR_INVALID_ADDRESS', `an address is a whole number, not ${String(address)}`);
    }
    if (lkey >>> 0 !== lkey) {
      throw regcacheError('ERR_INVALID_OPTION', `an lkey is a whole number of 32 bits, not ${String(lkey)}`);
    }
    // An empty segment is left out: some devices take length 0 for 2 GiB.
    if (length === 0) return;
    const at = this.capacity * this.#requestWords + (index * this.maxSegments + segment) * SGE_WORDS;
    this.put64(at + SGE_ADDRESS, address);
    this.words[at + SGE_LENGTH] = length;
    this.words[at + SGE_LKEY] = lkey;
    this.words[index * this.#requestWords + NUM_SGE] = segment + 1;
  }
}

/**
 * Requests for `QueuePair.postSend`. Addresses and lengths are bytes, ids whole numbers from 0 to 2^53 - 1, given back
 * in the completion. Each method writes one request and returns the list.
 */
export class SendRequests extends Requests {
  /**
   * @param capacity requests
   * @param maxSegments scatter/gather segments of each
   */
  constructor(capacity = 1, maxSegments = 1) {
    super(LAYOUT.ibv_send_wr.sizeof, capacity, maxSegments);
  }

  /** Send bytes into the peer's next receive request. */
  send(id: number, address: number, length: number, lkey: number, flags: number = SendFlag.SIGNALED): this {
    this.#begin(VALUES.IBV_WR_SEND, id, address, length, lkey, flags);
    return this;
  }

  /** Send bytes and 32 bits that the peer finds in its completion. */
  sendWithImmediate(
    id: number,
    address: number,
    length: number,
    lkey: number,
    immediate: number,
    flags: number = SendFlag.SIGNALED,
  ): this {
    const at = this.#begin(VALUES.IBV_WR_SEND_WITH_IMM, id, address, length, lkey, flags);
    this.words[at + IMMEDIATE] = swap32(immediate);
    return this;
  }

  /** Write into the peer's memory; its processor is not told. */
  write(
    id: number,
    address: number,
    length: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    flags: number = SendFlag.SIGNALED,
  ): this {
    this.#remote(VALUES.IBV_WR_RDMA_WRITE, id, address, length, lkey, remoteAddress, rkey, flags);
    return this;
  }

  /** Write into the peer's memory, then complete its next receive request with 32 bits. */
  writeWithImmediate(
    id: number,
    address: number,
    length: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    immediate: number,
    flags: number = SendFlag.SIGNALED,
  ): this {
    const opcode = VALUES.IBV_WR_RDMA_WRITE_WITH_IMM;
    const at = this.#remote(opcode, id, address, length, lkey, remoteAddress, rkey, flags);
    this.words[at + IMMEDIATE] = swap32(immediate);
    return this;
  }

  /** Read from the peer's memory into `address`, which needs LOCAL_WRITE. */
  read(
    id: number,
    address: number,
    length: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    flags: number = SendFlag.SIGNALED,
  ): this {
    this.#remote(VALUES.IBV_WR_RDMA_READ, id, address, length, lkey, remoteAddress, rkey, flags);
    return this;
  }

  /**
   * Replace the peer's 8 bytes at `remoteAddress` (aligned to 8) by `swap` if they equal `compare`; the value before is
   * written to `address` (8 bytes, needs LOCAL_WRITE).
   */
  compareAndSwap(
    id: number,
    address: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    compare: bigint,
    swap: bigint,
    flags: number = SendFlag.SIGNALED,
  ): this {
    const at = this.#atomic(VALUES.IBV_WR_ATOMIC_CMP_AND_SWP, id, address, lkey, remoteAddress, rkey, flags);
    this.#putBig(at + COMPARE_ADD, compare);
    this.#putBig(at + SWAP, swap);
    return this;
  }

  /** Add to the peer's 8 bytes at `remoteAddress` (aligned to 8); the value before is written to `address`. */
  fetchAndAdd(
    id: number,
    address: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    add: bigint,
    flags: number = SendFlag.SIGNALED,
  ): this {
    const at = this.#atomic(
      VALUES.IBV_WR_ATOMIC_FETCH_AND_ADD,
      id,
      address,
      lkey,
      remoteAddress,
      rkey,
      flags,
    );
    this.#putBig(at + COMPARE_ADD, add);
    return this;
  }

  #begin(opcode: number, id: number, address: number, length: number, lkey: number, flags: number): number {
    const at = this.next(id, address, length, lkey);
    this.words[at + OPCODE] = opcode;
    this.words[at + SEND_FLAGS] = flags;
    return at;
  }

  #remote(
    opcode: number,
    id: number,
    address: number,
    length: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    flags: number,
  ): number {
    const at = this.#begin(opcode, id, address, length, lkey, flags);
    this.put64(at + REMOTE_ADDRESS, remoteAddress);
    this.words[at + RKEY] = rkey;
    return at;
  }

  #atomic(
    opcode: number,
    id: number,
    address: number,
    lkey: number,
    remoteAddress: number,
    rkey: number,
    flags: number,
  ): number {
    const at = this.#begin(opcode, id, address, 8, lkey, flags);
    this.put64(at + REMOTE_ADDRESS, remoteAddress);
    this.words[at + ATOMIC_RKEY] = rkey;
    return at;
  }

  #putBig(at: number, value: bigint): void {
    this.words[at] = Number(value & 0xffff_ffffn);
    this.words[at + 1] = Number((value >> 32n) & 0xffff_ffffn);
  }
}

/** Requests for `QueuePair.postReceive`: where the next messages go. */
export class ReceiveRequests extends Requests {
  /**
   * @param capacity requests
   * @param maxSegments scatter/gather segments of each
   */
  constructor(capacity = 1, maxSegments = 1) {
    super(LAYOUT.ibv_recv_wr.sizeof, capacity, maxSegments);
  }

  /** Receive into memory that has LOCAL_WRITE; of length 0 for messages that bring immediate data only. */
  receive(id: number, address: number, length: number, lkey: number): this {
    this.next(id, address, length, lkey);
    return this;
  }
}
