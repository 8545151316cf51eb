import koffi from 'koffi';
import { regcacheError, shown, systemError } from '../errors.js';
import { checkWhole } from '../options.js';
import { E } from '../system/libc.js';
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

/** Requests of one kind are longer than those of the other. */
type Kind = 'send' | 'receive';
const SIZES: Record<Kind, number> = {
  send: LAYOUT.ibv_send_wr.sizeof,
  receive: LAYOUT.ibv_recv_wr.sizeof,
};

/**
 * Work requests in the library's own layout, in memory that does not move, linked so that one call posts all of them.
 * The library follows their pointers, so no program gets at this.
 */
export class RequestList {
  readonly kind: Kind;
  readonly capacity: number;
  readonly maxSegments: number;
  /** Address of the first request, for the library. */
  readonly address: number;
  readonly words: Uint32Array;
  /** Whether there has been a request that the library copies the data of. */
  inlined = false;
  readonly #requestWords: number;
  length = 0;

  constructor(kind: Kind, capacity: number, maxSegments: number) {
    checkWhole('capacity', capacity, 1, MOST);
    checkWhole('maxSegments', maxSegments, 1, MOST);
    this.kind = kind;
    this.capacity = capacity;
    this.maxSegments = maxSegments;
    const requestSize = SIZES[kind];
    this.#requestWords = requestSize / 4;
    const segmentsSize = maxSegments * LAYOUT.ibv_sge.sizeof;
    this.words = wordsFor(capacity * (requestSize + segmentsSize));
    this.address = Number(koffi.address(this.words));
    // Each request owns a fixed part of the segments behind the requests.
    for (let i = 0; i < capacity; i++) {
      this.put64(i * this.#requestWords + SG_LIST, this.address + capacity * requestSize + i * segmentsSize);
    }
  }

  clear(): void {
    this.length = 0;
    this.inlined = false;
  }

  addSegment(address: number, length: number, lkey: number): void {
    const request = (this.length - 1) * this.#requestWords;
    const count = request < 0 ? this.maxSegments : this.words[request + NUM_SGE];
    if (count >= this.maxSegments) {
      throw regcacheError('ERR_INVALID_OPTION', `a request has at most ${this.maxSegments} segments here`);
    }
    checkSegment(address, length, lkey);
    this.#writeSegment(this.length - 1, count, address, length, lkey);
  }

  /** Position in words of the next request, linked to the one before, with its first segment. */
  next(id: number, address: number, length: number, lkey: number): number {
    const index = this.length;
    if (index === this.capacity) {
      throw regcacheError('ERR_INVALID_OPTION', `there is room for ${this.capacity} requests`);
    }
    if (!Number.isSafeInteger(id) || id < 0) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        `an id is a whole number from 0 to 2^53 - 1, not ${shown(id)}`,
      );
    }
    checkSegment(address, length, lkey);
    const request = index * this.#requestWords;
    this.words[request + NUM_SGE] = 0;
    this.#writeSegment(index, 0, address, length, lkey);
    this.put64(request + ID, id);
    this.put64(request + NEXT, 0);
    if (index > 0) this.put64(request - this.#requestWords + NEXT, this.address + request * 4);
    this.length = index + 1;
    return request;
  }

  put64(at: number, value: number): void {
    this.words[at] = value;
    this.words[at + 1] = value / 0x1_0000_0000;
  }

  /** Index of the request at an address: what the library reports of a failed call. */
  indexOf(address: number): number {
    return (address - this.address) / (this.#requestWords * 4);
  }

  /** What the library will read when it is given the list. */
  *inlineSegments(): Generator<{ address: number; length: number }> {
    for (let index = 0; index < this.length; index++) {
      const request = index * this.#requestWords;
      if ((this.words[request + SEND_FLAGS] & SendFlag.INLINE) === 0) continue;
      for (let segment = 0; segment < this.words[request + NUM_SGE]; segment++) {
        const at = this.#segment(index, segment) + SGE_ADDRESS;
        const address = this.words[at] + this.words[at + 1] * 0x1_0000_0000;
        yield { address, length: this.words[this.#segment(index, segment) + SGE_LENGTH] };
      }
    }
  }

  /** Position in words. */
  #segment(index: number, segment: number): number {
    return this.capacity * this.#requestWords + (index * this.maxSegments + segment) * SGE_WORDS;
  }

  #writeSegment(index: number, segment: number, address: number, length: number, lkey: number): void {
    // An empty segment is left out: some devices take length 0 for 2 GiB.
    if (length === 0) return;
    const at = this.#segment(index, segment);
    this.put64(at + SGE_ADDRESS, address);
    this.words[at + SGE_LENGTH] = length;
    this.words[at + SGE_LKEY] = lkey;
    this.words[index * this.#requestWords + NUM_SGE] = segment + 1;
  }
}

/** Requests or segments; what the library counts, it counts in an int. */
const MOST = 0x7fff_ffff;

function wordsFor(bytes: number): Uint32Array {
  try {
    return new Uint32Array(new ArrayBuffer(bytes));
  } catch (cause) {
    throw systemError(E.ENOMEM, 'calloc', `there is no room for ${bytes} bytes of requests`, { cause });
  }
}

function checkSegment(address: number, length: number, lkey: number): void {
  if (!isUint32(length)) {
    throw regcacheError('ERR_INVALID_LENGTH', `a segment has at most 2^32 - 1 bytes, not ${shown(length)}`);
  }
  checkAddress(address);
  checkUint32('lkey', lkey);
}

function checkAddress(address: number): void {
  if (Number.isSafeInteger(address) && address >= 0) return;
  throw regcacheError('ERR_INVALID_ADDRESS', `an address is a whole number, not ${shown(address)}`);
}

const isUint32 = (value: number): boolean => typeof value === 'number' && value >>> 0 === value;

function checkUint32(name: string, value: number): void {
  if (!isUint32(value)) checkWhole(name, value, 0, 0xffff_ffff);
}

function checkBigInt(name: string, value: bigint): void {
  if (typeof value === 'bigint') return;
  throw regcacheError(
    'ERR_INVALID_OPTION',
    `${name} is a bigint, of which 64 bits count, not ${shown(value)}`,
  );
}

/**
 * The list behind an object that programs have.
 * @throws ERR_INVALID_OPTION for what has none, or one of the other kind: the library would read past its end
 */
export let listOf: (value: unknown, kind: Kind) => RequestList;

/**
 * Work requests, to be posted with one call. May be posted again and again, and written anew after `clear()`: posting
 * copies them. They do not keep the memory that they name alive or registered; that must last until their completions.
 */
abstract class Requests {
  readonly #list: RequestList;

  /** @throws RegcacheError `ERR_INVALID_OPTION`, ENOMEM */
  protected constructor(kind: Kind, capacity: number, maxSegments: number) {
    this.#list = new RequestList(kind, capacity, maxSegments);
  }

  /** Requests it has room for. */
  get capacity(): number {
    return this.#list.capacity;
  }

  /** Scatter/gather segments that each request has room for. */
  get maxSegments(): number {
    return this.#list.maxSegments;
  }

  /** Address of the first request, for the library. */
  get address(): number {
    return this.#list.address;
  }

  /** Requests written since the last `clear()`. */
  get length(): number {
    return this.#list.length;
  }

  /** Forget all requests; the memory is written over. */
  clear(): this {
    this.#list.clear();
    return this;
  }

  /**
   * Another scatter/gather segment for the request written last.
   * @throws RegcacheError `ERR_INVALID_LENGTH`, `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` if there is no request or no
   * room
   */
  addSegment(address: number, length: number, lkey: number): this {
    this.#list.addSegment(address, length, lkey);
    return this;
  }

  static {
    listOf = (value, kind) => {
      if (typeof value === 'object' && value !== null && #list in value && value.#list.kind === kind)
        return value.#list;
      const name = kind === 'send' ? 'SendRequests' : 'ReceiveRequests';
      throw regcacheError('ERR_INVALID_OPTION', `only a list of the class ${name} serves here`);
    };
  }
}

/**
 * Requests for `QueuePair.postSend`. Addresses and lengths are bytes, ids whole numbers from 0 to 2^53 - 1, given back
 * in the completion. Each method writes one request and returns the list, or throws a RegcacheError and writes nothing:
 * `ERR_INVALID_ADDRESS`, `ERR_INVALID_LENGTH`, or `ERR_INVALID_OPTION` for anything else that is out of range and when
 * there is no room.
 */
export class SendRequests extends Requests {
  /**
   * @param capacity requests
   * @param maxSegments scatter/gather segments of each
   */
  constructor(capacity = 1, maxSegments = 1) {
    super('send', capacity, maxSegments);
  }

  /** Send bytes into the peer's next receive request. */
  send(id: number, address: number, length: number, lkey: number, flags: number = SendFlag.SIGNALED): this {
    begin(this, VALUES.IBV_WR_SEND, id, address, length, lkey, flags);
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
    checkUint32('immediate', immediate);
    const { list, at } = begin(this, VALUES.IBV_WR_SEND_WITH_IMM, id, address, length, lkey, flags);
    list.words[at + IMMEDIATE] = swap32(immediate);
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
    remote(this, VALUES.IBV_WR_RDMA_WRITE, id, address, length, lkey, remoteAddress, rkey, flags);
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
    checkUint32('immediate', immediate);
    const opcode = VALUES.IBV_WR_RDMA_WRITE_WITH_IMM;
    const { list, at } = remote(this, opcode, id, address, length, lkey, remoteAddress, rkey, flags);
    list.words[at + IMMEDIATE] = swap32(immediate);
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
    remote(this, VALUES.IBV_WR_RDMA_READ, id, address, length, lkey, remoteAddress, rkey, flags);
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
    checkBigInt('compare', compare);
    checkBigInt('swap', swap);
    const opcode = VALUES.IBV_WR_ATOMIC_CMP_AND_SWP;
    const { list, at } = atomic(this, opcode, id, address, lkey, remoteAddress, rkey, flags);
    putBig(list, at + COMPARE_ADD, compare);
    putBig(list, at + SWAP, swap);
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
    checkBigInt('add', add);
    const opcode = VALUES.IBV_WR_ATOMIC_FETCH_AND_ADD;
    const { list, at } = atomic(this, opcode, id, address, lkey, remoteAddress, rkey, flags);
    putBig(list, at + COMPARE_ADD, add);
    return this;
  }
}

/** A request that was begun: its list, and its position in words. */
interface Begun {
  readonly list: RequestList;
  readonly at: number;
}

// Functions, not methods: a program would get at those. All is checked before anything is written.

function begin(
  requests: SendRequests,
  opcode: number,
  id: number,
  address: number,
  length: number,
  lkey: number,
  flags: number,
): Begun {
  const list = listOf(requests, 'send');
  if (!isUint32(flags) || (flags & ~ALL_FLAGS) !== 0) {
    throw regcacheError('ERR_INVALID_OPTION', `${shown(flags)} is not a combination of SendFlag bits`);
  }
  const at = list.next(id, address, length, lkey);
  list.words[at + OPCODE] = opcode;
  list.words[at + SEND_FLAGS] = flags;
  if ((flags & SendFlag.INLINE) !== 0) list.inlined = true;
  return { list, at };
}

const ALL_FLAGS = Object.values(SendFlag).reduce((bits, bit) => bits | bit, 0);

function remote(
  requests: SendRequests,
  opcode: number,
  id: number,
  address: number,
  length: number,
  lkey: number,
  remoteAddress: number,
  rkey: number,
  flags: number,
): Begun {
  checkAddress(remoteAddress);
  checkUint32('rkey', rkey);
  const begun = begin(requests, opcode, id, address, length, lkey, flags);
  begun.list.put64(begun.at + REMOTE_ADDRESS, remoteAddress);
  begun.list.words[begun.at + RKEY] = rkey;
  return begun;
}

function atomic(
  requests: SendRequests,
  opcode: number,
  id: number,
  address: number,
  lkey: number,
  remoteAddress: number,
  rkey: number,
  flags: number,
): Begun {
  // The address is in the same place; where other requests have the rkey, an atomic one has its operand, written later.
  const begun = remote(requests, opcode, id, address, 8, lkey, remoteAddress, rkey, flags);
  begun.list.words[begun.at + ATOMIC_RKEY] = rkey;
  return begun;
}

function putBig({ words }: RequestList, at: number, value: bigint): void {
  words[at] = Number(value & 0xffff_ffffn);
  words[at + 1] = Number((value >> 32n) & 0xffff_ffffn);
}

/** Requests for `QueuePair.postReceive`: where the next messages go. */
export class ReceiveRequests extends Requests {
  /**
   * @param capacity requests
   * @param maxSegments scatter/gather segments of each
   */
  constructor(capacity = 1, maxSegments = 1) {
    super('receive', capacity, maxSegments);
  }

  /**
   * Receive into memory that has LOCAL_WRITE; of length 0 for messages that bring immediate data only.
   * @param address first byte
   * @param length bytes
   * @throws RegcacheError `ERR_INVALID_ADDRESS`, `ERR_INVALID_LENGTH`, `ERR_INVALID_OPTION`
   */
  receive(id: number, address: number, length: number, lkey: number): this {
    listOf(this, 'receive').next(id, address, length, lkey);
    return this;
  }
}
