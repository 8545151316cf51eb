import { randomInt } from 'node:crypto';
import { types } from 'node:util';
import koffi from 'koffi';
import { regcacheError, systemError, type RegcacheError } from '../errors.js';
import { locate } from '../memory/locate.js';
import { isReadable } from '../memory/prefault.js';
import { checkBoolean, checkWhole, takeOptions } from '../options.js';
import { E } from '../system/libc.js';
import { Access } from '../access.js';
import type { CompletionQueue } from './completion-queue.js';
import { chooseGid, parseGid } from './gid.js';
import { LAYOUT, VALUES } from './layout.js';
import { libibverbs, readUint32, verbsError } from './library.js';
import { mtuCode } from './mtu.js';
import { type Operations, operationsOf } from './operations.js';
import type { ProtectionDomain } from './protection-domain.js';
import { takeEndpoint, type QueuePairEndpoint } from './queue-pair-endpoint.js';
import { MADE, parentOf, pointerOf, Resource } from './resource.js';
import { listOf, type ReceiveRequests, type RequestList, type SendRequests } from './work-request.js';

export interface QueuePairOptions {
  /** Where sends, writes and reads are reported. */
  sendQueue: CompletionQueue;
  /** Where receives are reported; default the same. */
  receiveQueue?: CompletionQueue;
  /** Outstanding send requests; default 128. */
  maxSends?: number;
  /** Outstanding receive requests; default 128. */
  maxReceives?: number;
  /** Scatter/gather segments of a send request; default 1. */
  maxSendSegments?: number;
  /** Scatter/gather segments of a receive request; default 1. */
  maxReceiveSegments?: number;
  /** Bytes that a send request with `SendFlag.INLINE` may carry; default 0. */
  maxInline?: number;
  /** Report every send request, signaled or not; default false. */
  signalAll?: boolean;
}

export interface InitOptions {
  /** Port of the device, from 1; default 1. */
  port?: number;
  /** Entry of the port's GID table; default: the best RoCE v2 entry on Ethernet, none on InfiniBand. */
  gidIndex?: number;
  /** What the peer may do through this queue pair, bits of `Access`; default remote read, write and atomics. */
  access?: number;
  /** Entry of the partition key table; default 0. */
  pkeyIndex?: number;
  /** Packet sequence number to start with, 24 bits; default random, so that stale packets are not taken for new. */
  psn?: number;
}

/** Timing of a connection, in the units of ibv_modify_qp(3). */
export interface ConnectOptions {
  /** Wait for an acknowledgement for 4.096 us * 2^timeout, 0 to 31, 0 for ever; default 14: 67 ms. */
  timeout?: number;
  /**
   * Resend so often without an acknowledgement, 0 to 7; default 6. Soft-RoCE takes 7 for "for ever" (Linux
   * drivers/infiniband/sw/rxe/rxe_comp.c), and would never notice that a peer is gone.
   */
  retries?: number;
  /** Resend so often when the peer has no receive posted, 0 to 7, 7 for ever; default 7. */
  receiverNotReadyRetries?: number;
  /** Tell a sender to wait when no receive is posted here: code from 0 to 31; default 12: 0.64 ms. */
  receiverNotReadyTimer?: number;
}

export type QueuePairState = 'RESET' | 'INIT' | 'RTR' | 'RTS' | 'SQD' | 'SQE' | 'ERR' | 'UNKNOWN';
const STATES: readonly QueuePairState[] = ['RESET', 'INIT', 'RTR', 'RTS', 'SQD', 'SQE', 'ERR'];

const MAX_READS = 16;

/**
 * One end of a reliable connection (IBV_QPT_RC). Take it through its states: `toInit()` gives the local endpoint, to be
 * brought to the peer by whatever means; `connect(remote)` with what the peer sent makes it ready. Receives may be
 * posted after `toInit()`, sends after `connect()`. After any failed request it is in the error state: all other
 * requests are flushed. Made by `ProtectionDomain.createQueuePair`.
 */
export class QueuePair extends Resource {
  readonly protectionDomain: ProtectionDomain;
  /** 24 bits; unique on the device. */
  readonly number: number;
  readonly #operations: Operations;
  readonly #maxInline: number;
  readonly #bad = new BigUint64Array(new ArrayBuffer(8));
  readonly #badAddress = Number(koffi.address(this.#bad));
  #local: QueuePairEndpoint | undefined;
  #gidIndex = -1;

  constructor(pd: ProtectionDomain, options: QueuePairOptions) {
    const taken = takeOptions(options, OPTIONS);
    const { sendQueue, receiveQueue = sendQueue, signalAll = false } = taken;
    const [send, receive] = [sendQueue, receiveQueue].map((queue) => pointerOf(queue, 'completion queue'));
    const context = parentOf(pd, 'protection domain');
    // The kernel looks up the queues by number in the file of the protection domain: it would find others.
    if ([sendQueue, receiveQueue].some((queue) => parentOf(queue, 'completion queue') !== context)) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        'the completion queues and the protection domain must be of the same context',
      );
    }
    const at = LAYOUT.ibv_qp_init_attr;
    const attributes = Buffer.alloc(at.sizeof);
    attributes.writeBigUInt64LE(BigInt(send), at.send_cq);
    attributes.writeBigUInt64LE(BigInt(receive), at.recv_cq);
    for (const [name, [field, standard]] of Object.entries(SIZES)) {
      const size = taken[name as keyof typeof SIZES] ?? standard;
      checkWhole(name, size, 0, 0xffff_ffff);
      attributes.writeUInt32LE(size, at[field]);
    }
    checkBoolean('signalAll', signalAll);
    attributes.writeInt32LE(VALUES.IBV_QPT_RC, at.qp_type);
    attributes.writeInt32LE(signalAll ? 1 : 0, at.sq_sig_all);
    const pointer = create(pointerOf(pd, 'protection domain'), attributes);
    super(MADE, KIND, {
      pointer,
      parents: [...new Set([pd, sendQueue, receiveQueue])],
      destroyCall: 'ibv_destroy_qp',
      destroy: (address) => libibverbs().destroyQp(address),
    });
    this.protectionDomain = pd;
    this.number = readUint32(pointer + LAYOUT.ibv_qp.qp_num);
    this.#maxInline = attributes.readUInt32LE(at['cap.max_inline_data']);
    this.#operations = operationsOf(context);
  }

  /** Bytes that a send request with `SendFlag.INLINE` may carry: at least what was asked for. */
  get maxInline(): number {
    return this.#maxInline;
  }

  /**
   * RESET to INIT: bind to a port; receives may be posted now.
   * @returns what the peer needs to connect, a plain object fit for JSON
   * @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION` if the port is Ethernet and has no GID, or the error of
   * ibv_modify_qp(3)
   */
  toInit(options: InitOptions = {}): QueuePairEndpoint {
    const {
      port = 1,
      gidIndex,
      access = REMOTE,
      pkeyIndex = 0,
      psn = randomInt(1 << 24),
    } = takeOptions(options, ['port', 'gidIndex', 'access', 'pkeyIndex', 'psn']);
    checkWhole('pkeyIndex', pkeyIndex, 0, 0xffff);
    checkWhole('psn', psn, 0, 0xff_ffff);
    checkWhole('access', access, 0, 0x7fff_ffff);
    const context = this.protectionDomain.context;
    const device = context.queryDevice();
    const attributes = context.queryPort(port);
    const gid = gidIndex === undefined ? undefined : context.queryGid(port, gidIndex);
    const chosen =
      gid ?? (attributes.linkLayer === 'Ethernet' ? chooseGid(context.gidTable(port)) : undefined);
    if (attributes.linkLayer === 'Ethernet' && chosen === undefined) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        `port ${port} of ${context.device.name} has no GID; give its network interface an address and set it up`,
      );
    }
    const at = LAYOUT.ibv_qp_attr;
    const change = Buffer.alloc(at.sizeof);
    change.writeInt32LE(VALUES.IBV_QPS_INIT, at.qp_state);
    change.writeUInt16LE(pkeyIndex, at.pkey_index);
    change.writeUInt8(port, at.port_num);
    change.writeUInt32LE(access, at.qp_access_flags);
    const mask =
      VALUES.IBV_QP_STATE | VALUES.IBV_QP_PKEY_INDEX | VALUES.IBV_QP_PORT | VALUES.IBV_QP_ACCESS_FLAGS;
    this.modify(change, mask, 'to INIT');
    this.#gidIndex = chosen?.index ?? -1;
    this.#local = {
      qpNumber: this.number,
      psn,
      port,
      lid: attributes.lid,
      gid: chosen?.gid ?? null,
      mtu: attributes.activeMtu,
      readsAccepted: Math.min(MAX_READS, device.maxReadsAccepted),
      readsInitiated: Math.min(MAX_READS, device.maxReadsInitiated),
    };
    return this.#local;
  }

  /**
   * What the peer needs to connect.
   * @throws RegcacheError `ERR_INVALID_OPTION` before `toInit()`
   */
  get local(): QueuePairEndpoint {
    if (this.#local === undefined) {
      throw regcacheError('ERR_INVALID_OPTION', 'the queue pair has no endpoint yet; call toInit() first');
    }
    return this.#local;
  }

  /**
   * INIT to RTR and RTS: both directions are ready. The peer must do the same with `local`.
   * @throws RegcacheError as `toReadyToReceive` and `toReadyToSend`
   */
  connect(remote: QueuePairEndpoint, options: ConnectOptions = {}): void {
    const endpoint = takeEndpoint(remote);
    const timing = takeTiming(options);
    this.toReadyToReceive(endpoint, timing);
    this.toReadyToSend(endpoint, timing);
  }

  /**
   * INIT to RTR (ready to receive): the peer is known and its requests are answered.
   * @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION` if it is not an endpoint or does not fit, or the
   * error of ibv_modify_qp(3)
   */
  toReadyToReceive(endpoint: QueuePairEndpoint, options: ConnectOptions = {}): void {
    const remote = takeEndpoint(endpoint);
    const { receiverNotReadyTimer = 12 } = takeTiming(options);
    const local = this.local;
    if ((local.gid === null) !== (remote.gid === null)) {
      throw regcacheError('ERR_INVALID_OPTION', 'one endpoint has a GID and the other has none');
    }
    const at = LAYOUT.ibv_qp_attr;
    const change = Buffer.alloc(at.sizeof);
    change.writeInt32LE(VALUES.IBV_QPS_RTR, at.qp_state);
    change.writeInt32LE(mtuCode(Math.min(local.mtu, remote.mtu)), at.path_mtu);
    change.writeUInt32LE(remote.qpNumber, at.dest_qp_num);
    change.writeUInt32LE(remote.psn, at.rq_psn);
    change.writeUInt8(Math.min(local.readsAccepted, remote.readsInitiated), at.max_dest_rd_atomic);
    change.writeUInt8(receiverNotReadyTimer, at.min_rnr_timer);
    change.writeUInt16LE(remote.lid, at['ah_attr.dlid']);
    change.writeUInt8(local.port, at['ah_attr.port_num']);
    if (remote.gid !== null) {
      parseGid(remote.gid).copy(change, at['ah_attr.grh.dgid']);
      change.writeUInt8(1, at['ah_attr.is_global']);
      change.writeUInt8(this.#gidIndex, at['ah_attr.grh.sgid_index']);
      change.writeUInt8(64, at['ah_attr.grh.hop_limit']);
    }
    const mask =
      VALUES.IBV_QP_STATE |
      VALUES.IBV_QP_AV |
      VALUES.IBV_QP_PATH_MTU |
      VALUES.IBV_QP_DEST_QPN |
      VALUES.IBV_QP_RQ_PSN |
      VALUES.IBV_QP_MAX_DEST_RD_ATOMIC |
      VALUES.IBV_QP_MIN_RNR_TIMER;
    this.modify(change, mask, 'to RTR');
  }

  /**
   * RTR to RTS (ready to send).
   * @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION`, or the error of ibv_modify_qp(3)
   */
  toReadyToSend(endpoint: QueuePairEndpoint, options: ConnectOptions = {}): void {
    const remote = takeEndpoint(endpoint);
    const { timeout = 14, retries = RETRIES, receiverNotReadyRetries = 7 } = takeTiming(options);
    const at = LAYOUT.ibv_qp_attr;
    const change = Buffer.alloc(at.sizeof);
    change.writeInt32LE(VALUES.IBV_QPS_RTS, at.qp_state);
    change.writeUInt32LE(this.local.psn, at.sq_psn);
    change.writeUInt8(timeout, at.timeout);
    change.writeUInt8(retries, at.retry_cnt);
    change.writeUInt8(receiverNotReadyRetries, at.rnr_retry);
    // More than the peer answers at once would break the connection.
    change.writeUInt8(Math.min(this.local.readsInitiated, remote.readsAccepted), at.max_rd_atomic);
    const mask =
      VALUES.IBV_QP_STATE |
      VALUES.IBV_QP_SQ_PSN |
      VALUES.IBV_QP_TIMEOUT |
      VALUES.IBV_QP_RETRY_CNT |
      VALUES.IBV_QP_RNR_RETRY |
      VALUES.IBV_QP_MAX_QP_RD_ATOMIC;
    this.modify(change, mask, 'to RTS');
  }

  /**
   * To the error state: everything posted is flushed to the completion queues with WR_FLUSH_ERR.
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_modify_qp(3)
   */
  toError(): void {
    this.#toState(VALUES.IBV_QPS_ERR, 'to ERR');
  }

  /**
   * Back to RESET: everything posted is forgotten without a completion; `toInit()` may follow.
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_modify_qp(3)
   */
  toReset(): void {
    this.#toState(VALUES.IBV_QPS_RESET, 'to RESET');
    this.#local = undefined;
  }

  /**
   * The state that the device says the queue pair is in; a system call.
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_query_qp(3)
   */
  queryState(): QueuePairState {
    const attributes = Buffer.alloc(LAYOUT.ibv_qp_attr.sizeof);
    const initial = Buffer.alloc(LAYOUT.ibv_qp_init_attr.sizeof);
    const result = libibverbs().queryQp(pointerOf(this, KIND), attributes, VALUES.IBV_QP_STATE, initial);
    if (result !== 0) throw verbsError(result, 'ibv_query_qp');
    return STATES[attributes.readInt32LE(LAYOUT.ibv_qp_attr.qp_state)] ?? 'UNKNOWN';
  }

  /**
   * ibv_modify_qp(3) with attributes of one's own, e.g. from a connection manager.
   * @param attributes a `struct ibv_qp_attr`
   * @param mask which of them are set
   * @param what for the message of the error
   * @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION`, or the error of ibv_modify_qp(3)
   */
  modify(attributes: Buffer, mask: number, what = ''): void {
    const size = LAYOUT.ibv_qp_attr.sizeof;
    // The library would read past the end of a shorter one.
    if (!isBytes(attributes, size)) {
      throw regcacheError('ERR_INVALID_OPTION', `attributes are a Buffer of at least ${size} bytes`);
    }
    checkWhole('mask', mask, 0, 0x7fff_ffff);
    if (typeof what !== 'string') throw regcacheError('ERR_INVALID_OPTION', 'what is a text');
    const result = libibverbs().modifyQp(pointerOf(this, KIND), attributes, mask);
    if (result !== 0) throw verbsError(result, 'ibv_modify_qp', `queue pair ${this.number} ${what}`);
  }

  /**
   * Post all requests of the list with one call. Its memory may be reused at once; the memory that the requests name
   * may not before their completion.
   * @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION` for what is no such list, `ERR_NOT_MAPPED` for inline data
   * that cannot be read, or the error of ibv_post_send(3): `ENOMEM` if the queue is full, `EINVAL` if a request is
   * malformed or the queue pair not ready; `posted` says how many of the list were posted before it, unless the provider
   * does not tell (Soft-RoCE when the queue pair is not ready)
   */
  postSend(requests: SendRequests): void {
    const list = listOf(requests, 'send');
    if (list.length === 0) return;
    if (list.inlined) this.#requireReadable(list);
    const result = this.#operations.postSend(pointerOf(this, KIND), list.address, this.#badAddress);
    if (result !== 0) throw this.#postError(result, 'ibv_post_send', list);
  }

  /**
   * Post all requests of the list with one call.
   * @throws RegcacheError as `postSend`, of ibv_post_recv(3)
   */
  postReceive(requests: ReceiveRequests): void {
    const list = listOf(requests, 'receive');
    if (list.length === 0) return;
    const result = this.#operations.postRecv(pointerOf(this, KIND), list.address, this.#badAddress);
    if (result !== 0) throw this.#postError(result, 'ibv_post_recv', list);
  }

  /** Inline data is copied by the library, which crashes where a registration would have been refused. */
  #requireReadable(list: RequestList): void {
    for (const { address, length } of list.inlineSegments()) {
      // What is longer the library refuses.
      if (length > this.#maxInline || isReadable(address, length)) continue;
      throw regcacheError('ERR_NOT_MAPPED', 'the inline data of a request cannot be read', {
        address,
        length,
      });
    }
  }

  #postError(result: number, call: string, requests: RequestList): RegcacheError {
    const errno = result === -1 ? koffi.errno() : Math.abs(result);
    const bad = Number(this.#bad[0]);
    this.#bad[0] = 0n;
    const why =
      errno === E.ENOMEM
        ? 'the queue is full: wait for completions'
        : 'too many segments or bytes, or the queue pair is not connected';
    // A provider that fails only when it tells the device reports no request.
    if (bad === 0) return systemError(errno, call, why);
    const posted = requests.indexOf(bad);
    return systemError(errno, call, `request ${posted + 1} of ${requests.length}: ${why}`, { posted });
  }

  #toState(state: number, what: string): void {
    const change = Buffer.alloc(LAYOUT.ibv_qp_attr.sizeof);
    change.writeInt32LE(state, LAYOUT.ibv_qp_attr.qp_state);
    this.modify(change, VALUES.IBV_QP_STATE, what);
  }
}

const KIND = 'queue pair';
const REMOTE = Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC;

/** Sizes of the queues: where they are in `struct ibv_qp_init_attr`, and their defaults. */
const SIZES = {
  maxSends: ['cap.max_send_wr', 128],
  maxReceives: ['cap.max_recv_wr', 128],
  maxSendSegments: ['cap.max_send_sge', 1],
  maxReceiveSegments: ['cap.max_recv_sge', 1],
  maxInline: ['cap.max_inline_data', 0],
} as const;
const OPTIONS = ['sendQueue', 'receiveQueue', 'signalAll', ...Object.keys(SIZES)];

/** The default of `retries`. */
export const RETRIES = 6;

/** The most that each option of {@link ConnectOptions} may be. */
export const TIMING = {
  timeout: 31,
  retries: 7,
  receiverNotReadyRetries: 7,
  receiverNotReadyTimer: 31,
} as const;

function takeTiming(options: ConnectOptions): ConnectOptions {
  const timing = takeOptions(options, Object.keys(TIMING));
  for (const [name, value] of Object.entries(timing))
    checkWhole(name, value, 0, TIMING[name as keyof typeof TIMING]);
  return timing;
}

function isBytes(value: unknown, length: number): boolean {
  if (!types.isUint8Array(value)) return false;
  const here = { address: 0, length: 0 };
  locate(value, here);
  return here.length >= length;
}

function create(pd: number, attributes: Buffer): number {
  const pointer = libibverbs().createQp(pd, attributes);
  if (pointer === 0) {
    throw systemError(
      koffi.errno(),
      'ibv_create_qp',
      "a size may be above the device's limits: maxWorkRequests, maxSegments and maxQueuePairs of queryDevice()",
    );
  }
  return pointer;
}
