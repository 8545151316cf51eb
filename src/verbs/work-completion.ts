import { regcacheError, type RegcacheError } from '../errors.js';
import { checkWhole, refuseOption, takeFields } from '../options.js';

/** How a work request ended (`enum ibv_wc_status`), and what it means: ibv_poll_cq(3) and the InfiniBand specification. */
const STATUSES = [
  ['SUCCESS', 'done'],
  ['LOC_LEN_ERR', 'the message is longer than the receive buffer, or than the port allows'],
  [
    'LOC_QP_OP_ERR',
    'the request is inconsistent or not allowed for this queue pair, or what came is longer than its memory',
  ],
  ['LOC_EEC_OP_ERR', 'internal inconsistency of an end-to-end context'],
  [
    'LOC_PROT_ERR',
    'a local segment is outside of a memory region of this protection domain, or lacks LOCAL_WRITE',
  ],
  ['WR_FLUSH_ERR', 'not processed: the queue pair went into the error state before'],
  ['MW_BIND_ERR', 'the memory window could not be bound'],
  ['BAD_RESP_ERR', 'the peer sent an unexpected response'],
  ['LOC_ACCESS_ERR', 'a protection error on a local buffer during a write with immediate data'],
  ['REM_INV_REQ_ERR', 'the peer found the request invalid, e.g. longer than its receive buffer'],
  [
    'REM_ACCESS_ERR',
    'the peer refused: wrong or revoked rkey, outside of its region, or the access right is missing',
  ],
  ['REM_OP_ERR', 'the peer could not complete the request, e.g. one longer than its receive buffer'],
  ['RETRY_EXC_ERR', 'the peer did not acknowledge: unreachable, not connected, or its queue pair is gone'],
  ['RNR_RETRY_EXC_ERR', 'the peer had no receive request posted for too long'],
  ['LOC_RDD_VIOL_ERR', 'the reliable datagram domains do not match'],
  ['REM_INV_RD_REQ_ERR', 'the peer found a reliable datagram message invalid'],
  ['REM_ABORT_ERR', 'the peer aborted the operation'],
  ['INV_EECN_ERR', 'invalid end-to-end context number'],
  ['INV_EEC_STATE_ERR', 'the end-to-end context is in the wrong state'],
  ['FATAL_ERR', 'fatal error of the device'],
  ['RESP_TIMEOUT_ERR', 'no response in time'],
  ['GENERAL_ERR', 'error that fits no other status'],
  ['TM_ERR', 'tag matching failed'],
  ['TM_RNDV_INCOMPLETE', 'the rendezvous of tag matching was left incomplete'],
] as const;

export type CompletionStatus = (typeof STATUSES)[number][0];

/** Names of `enum ibv_wc_status` without their prefix; the index is the value. */
export const COMPLETION_STATUSES: readonly CompletionStatus[] = STATUSES.map(([name]) => name);

export const SUCCESS = 0;

/** What kind of request completed (`enum ibv_wc_opcode`). Not defined unless the status is `'SUCCESS'`. */
export type CompletionOpcode =
  | 'SEND'
  | 'RDMA_WRITE'
  | 'RDMA_READ'
  | 'COMP_SWAP'
  | 'FETCH_ADD'
  | 'BIND_MW'
  | 'LOCAL_INV'
  | 'RECV'
  | 'RECV_RDMA_WITH_IMM'
  | 'UNKNOWN';

const OPCODES: ReadonlyMap<number, CompletionOpcode> = new Map([
  [0, 'SEND'],
  [1, 'RDMA_WRITE'],
  [2, 'RDMA_READ'],
  [3, 'COMP_SWAP'],
  [4, 'FETCH_ADD'],
  [5, 'BIND_MW'],
  [6, 'LOCAL_INV'],
  [128, 'RECV'],
  [129, 'RECV_RDMA_WITH_IMM'],
]);

/** A finished work request. */
export interface WorkCompletion {
  /** The id that the work request was given. */
  id: number;
  status: CompletionStatus;
  /** `'UNKNOWN'` unless the status is `'SUCCESS'`. */
  opcode: CompletionOpcode;
  /** Bytes received, or read; only for successful receives, RDMA reads and atomics. */
  byteLength: number;
  /** 32 bits that came with the message, if it carried them. */
  immediate?: number;
  /** The queue pair of this side. */
  qpNumber: number;
  /** Code of the vendor that says more about a failure; 0 for none. */
  vendorError: number;
}

/** The name of a status value, e.g. `'REM_ACCESS_ERR'`. */
export function statusName(status: number): CompletionStatus {
  return COMPLETION_STATUSES[status] ?? 'GENERAL_ERR';
}

/** What a status means, in a sentence fragment. */
export function describeStatus(status: CompletionStatus): string {
  return (STATUSES.find(([name]) => name === status) ?? refuseOption('status', 'is none of the library'))[1];
}

export function opcodeName(opcode: number): CompletionOpcode {
  return OPCODES.get(opcode) ?? 'UNKNOWN';
}

/**
 * The error for a completion whose status is not `'SUCCESS'`: code `ERR_WORK_COMPLETION`, the status as a number.
 * @throws RegcacheError `ERR_INVALID_OPTION` for what is no completion
 */
export function completionError(
  completion: Pick<WorkCompletion, 'id' | 'status' | 'qpNumber' | 'vendorError'>,
): RegcacheError {
  const { id, status, qpNumber, vendorError } = takeFields(completion, NUMBERS.concat('status'));
  for (const [name, value] of Object.entries({ id, qpNumber, vendorError }))
    checkWhole(name, value, 0, Number.MAX_SAFE_INTEGER);
  const vendor = vendorError === 0 ? '' : `, vendor error 0x${vendorError.toString(16)}`;
  return regcacheError(
    'ERR_WORK_COMPLETION',
    `work request ${id} of queue pair ${qpNumber} failed: ${status}, ${describeStatus(status)}${vendor}`,
    { status: COMPLETION_STATUSES.indexOf(status) },
  );
}

const NUMBERS = ['id', 'qpNumber', 'vendorError'];
