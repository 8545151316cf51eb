import koffi from 'koffi';
import { regcacheError, systemError } from '../errors.js';
import { swap32 } from './byte-order.js';
import { CompletionEvents } from './completion-events.js';
import type { Context } from './context.js';
import { LAYOUT, VALUES } from './layout.js';
import { libibverbs, readUint32, verbsError } from './library.js';
import type { Operations } from './operations.js';
import { Resource } from './resource.js';
import { opcodeName, statusName, SUCCESS, type WorkCompletion } from './work-completion.js';

export interface CompletionQueueOptions {
  /**
   * Completions it can hold at least; default 256. A queue that overflows breaks the queue pairs that use it: count
   * all their outstanding requests.
   */
  entries?: number;
  /** Completions that one poll takes at most, no more than `entries`; default 16. */
  batch?: number;
  /** Make it possible to `wait()` for completions on the event loop, with a completion channel; default false. */
  events?: boolean;
}

const WORDS = LAYOUT.ibv_wc.sizeof / 4;
const ID = LAYOUT.ibv_wc.wr_id / 4;
const STATUS = LAYOUT.ibv_wc.status / 4;
const OPCODE = LAYOUT.ibv_wc.opcode / 4;
const VENDOR_ERROR = LAYOUT.ibv_wc.vendor_err / 4;
const BYTE_LENGTH = LAYOUT.ibv_wc.byte_len / 4;
const IMMEDIATE = LAYOUT.ibv_wc.imm_data / 4;
const QP_NUMBER = LAYOUT.ibv_wc.qp_num / 4;
const FLAGS = LAYOUT.ibv_wc.wc_flags / 4;

/**
 * Where finished work requests are reported. `poll()` returns them as objects. `pollRaw()` allocates nothing: it
 * returns how many it took, and `idAt(i)`, `statusAt(i)` and so on read them until the next poll.
 * Made by `Context.createCompletionQueue`.
 */
export class CompletionQueue extends Resource {
  readonly context: Context;
  /** Completions it can hold; the device may have rounded up. */
  readonly entries: number;
  /** Completions that one poll takes at most. */
  readonly batch: number;
  readonly #pollCq: Operations['pollCq'];
  readonly #words: Uint32Array;
  readonly #address: number;
  readonly #events: CompletionEvents | undefined;

  constructor(context: Context, options: CompletionQueueOptions = {}) {
    const { entries = 256 } = options;
    checkCount('entries', entries);
    checkCount('batch', options.batch ?? 1);
    // Never more than there can be; allocated first, so that a failure leaves no queue behind.
    const batch = Math.min(options.batch ?? 16, entries);
    const words = new Uint32Array(new ArrayBuffer(batch * LAYOUT.ibv_wc.sizeof));
    const events = options.events === true ? new CompletionEvents(context.pointer) : undefined;
    super('completion queue', create(context.pointer, entries, events), 'ibv_destroy_cq', [context]);
    this.#events = events;
    this.context = context;
    this.entries = readUint32(this.pointer + LAYOUT.ibv_cq.cqe);
    this.batch = batch;
    this.#pollCq = context.operations.pollCq;
    this.#words = words;
    this.#address = Number(koffi.address(this.#words));
  }

  /**
   * Take finished work requests, at most `batch`, without waiting.
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_poll_cq(3)
   */
  poll(): WorkCompletion[] {
    const count = this.pollRaw();
    const completions: WorkCompletion[] = [];
    for (let i = 0; i < count; i++) completions.push(this.completionAt(i));
    return completions;
  }

  /**
   * Take finished work requests without allocating.
   * @param max at most so many; at most `batch`
   * @returns how many were taken; they are readable at indices from 0 until the next poll
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_poll_cq(3)
   */
  pollRaw(max = this.batch): number {
    const count = this.#pollCq(this.pointer, max < this.batch ? max : this.batch, this.#address);
    if (count < 0) throw verbsError(count, 'ibv_poll_cq');
    return count;
  }

  /**
   * Wait on the event loop until there are completions, and take them, at most `batch`. The process stays alive while
   * somebody waits. Needs the option `events`.
   * @throws RegcacheError `ERR_INVALID_OPTION` without that option, `ERR_CLOSED`, also if it is closed while waiting,
   * or the error of ibv_poll_cq(3), ibv_req_notify_cq(3) or ibv_get_cq_event(3); the reason of the signal if it aborts
   */
  async wait(signal?: AbortSignal): Promise<WorkCompletion[]> {
    if (this.#events === undefined) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        'waiting needs a completion queue made with { events: true }',
      );
    }
    for (;;) {
      const found = this.poll();
      if (found.length > 0) return found;
      const result = this.context.operations.reqNotifyCq(this.pointer, 0);
      if (result !== 0) throw verbsError(result, 'ibv_req_notify_cq');
      // What came in before the queue was armed raises no event (ibv_req_notify_cq(3)).
      const late = this.poll();
      if (late.length > 0) return late;
      await this.#events.next(signal);
    }
  }

  /** The id that the work request was given. */
  idAt(index: number): number {
    const at = index * WORDS + ID;
    return this.#words[at] + this.#words[at + 1] * 0x1_0000_0000;
  }

  /** Value of `enum ibv_wc_status`: 0 is success; the index into `COMPLETION_STATUSES`. */
  statusAt(index: number): number {
    return this.#words[index * WORDS + STATUS];
  }

  /** Value of `enum ibv_wc_opcode`; only if the status is success. */
  opcodeAt(index: number): number {
    return this.#words[index * WORDS + OPCODE];
  }

  /** Bytes received or read; only for successful receives, RDMA reads and atomics. */
  byteLengthAt(index: number): number {
    return this.#words[index * WORDS + BYTE_LENGTH];
  }

  qpNumberAt(index: number): number {
    return this.#words[index * WORDS + QP_NUMBER];
  }

  vendorErrorAt(index: number): number {
    return this.#words[index * WORDS + VENDOR_ERROR];
  }

  /** Whether the message carried immediate data. */
  hasImmediateAt(index: number): boolean {
    return (this.#words[index * WORDS + FLAGS] & VALUES.IBV_WC_WITH_IMM) !== 0;
  }

  /** The 32 bits of immediate data; they travel in network byte order. */
  immediateAt(index: number): number {
    return swap32(this.#words[index * WORDS + IMMEDIATE]);
  }

  /** All of a completion as an object. */
  completionAt(index: number): WorkCompletion {
    const status = this.statusAt(index);
    const succeeded = status === SUCCESS;
    const completion: WorkCompletion = {
      id: this.idAt(index),
      status: statusName(status),
      // The other fields are not valid after a failure (ibv_poll_cq(3)).
      opcode: succeeded ? opcodeName(this.opcodeAt(index)) : 'UNKNOWN',
      byteLength: succeeded ? this.byteLengthAt(index) : 0,
      qpNumber: this.qpNumberAt(index),
      vendorError: this.vendorErrorAt(index),
    };
    if (succeeded && this.hasImmediateAt(index)) completion.immediate = this.immediateAt(index);
    return completion;
  }

  override close(): void {
    super.close();
    this.#events?.close();
  }

  protected override destroy(pointer: number): number {
    return libibverbs().destroyCq(pointer);
  }
}

function create(context: number, entries: number, events: CompletionEvents | undefined): number {
  const pointer = libibverbs().createCq(context, entries, 0, events?.pointer ?? 0, 0);
  if (pointer !== 0) return pointer;
  const errno = koffi.errno();
  events?.close();
  throw systemError(
    errno,
    'ibv_create_cq',
    `${entries} entries; the device's limits are maxCompletionQueues and maxCompletionQueueEntries of queryDevice()`,
  );
}

function checkCount(name: string, value: number): void {
  if (Number.isInteger(value) && value > 0 && value <= 0x7fff_ffff) return;
  throw regcacheError('ERR_INVALID_OPTION', `${name} must be a whole number from 1 on, not ${value}`);
}
