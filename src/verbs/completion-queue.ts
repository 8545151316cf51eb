import koffi from 'koffi';
import { regcacheError, systemError } from '../errors.js';
import { E } from '../system/libc.js';
import { swap32 } from './byte-order.js';
import { CompletionEvents } from './completion-events.js';
import type { Context } from './context.js';
import { LAYOUT, VALUES } from './layout.js';
import { libibverbs, readUint32, verbsError } from './library.js';
import { type Operations, operationsOf } from './operations.js';
import { MADE, pointerOf, Resource } from './resource.js';
import { checkBoolean, checkSignal, checkWhole, takeOptions } from '../options.js';
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
 * returns how many it took, and `idAt(i)`, `statusAt(i)` and so on read them until the next poll; an index that can be
 * none, `batch` or above, is `ERR_INVALID_OPTION`.
 * Made by `Context.createCompletionQueue`.
 */
export class CompletionQueue extends Resource {
  readonly context: Context;
  /** Completions it can hold; the device may have rounded up. */
  readonly entries: number;
  readonly #batch: number;
  readonly #operations: Operations;
  readonly #words: Uint32Array;
  readonly #address: number;
  readonly #events: CompletionEvents | undefined;

  constructor(context: Context, options: CompletionQueueOptions = {}) {
    const { entries = 256, batch: most = 16, events: wanted = false } = takeOptions(options, OPTIONS);
    checkWhole('entries', entries, 1, MOST);
    checkWhole('batch', most, 1, MOST);
    checkBoolean('events', wanted);
    const parent = pointerOf(context, 'device context');
    // Never more than there can be; allocated first, so that a failure leaves no queue behind.
    const batch = Math.min(most, entries);
    const words = wordsFor(batch);
    const events = wanted ? new CompletionEvents(parent) : undefined;
    super(MADE, KIND, {
      pointer: create(parent, entries, events),
      parents: [context],
      destroyCall: 'ibv_destroy_cq',
      destroy: (address) => libibverbs().destroyCq(address),
    });
    this.#events = events;
    this.context = context;
    this.entries = readUint32(this.pointer + LAYOUT.ibv_cq.cqe);
    this.#batch = batch;
    this.#operations = operationsOf(context);
    this.#words = words;
    this.#address = Number(koffi.address(this.#words));
  }

  /** Completions that one poll takes at most. */
  get batch(): number {
    return this.#batch;
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
   * @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION`, or the error of ibv_poll_cq(3)
   */
  pollRaw(max = this.#batch): number {
    const batch = this.#batch;
    if (typeof max !== 'number' || !(max >= 0)) checkWhole('max', max, 0, batch);
    // What is not below it, or no 32-bit number, would have the library write past the end.
    const most = max < batch ? max : batch;
    const count = this.#operations.pollCq(pointerOf(this, KIND), most, this.#address);
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
    checkSignal(signal);
    for (;;) {
      const found = this.poll();
      if (found.length > 0) return found;
      const result = this.#operations.reqNotifyCq(pointerOf(this, KIND), 0);
      if (result !== 0) throw verbsError(result, 'ibv_req_notify_cq');
      // What came in before the queue was armed raises no event (ibv_req_notify_cq(3)).
      const late = this.poll();
      if (late.length > 0) return late;
      await this.#events.next(signal);
    }
  }

  /** The id that the work request was given. */
  idAt(index: number): number {
    const at = this.#at(index) + ID;
    return this.#words[at] + this.#words[at + 1] * 0x1_0000_0000;
  }

  /** Value of `enum ibv_wc_status`: 0 is success; the index into `COMPLETION_STATUSES`. */
  statusAt(index: number): number {
    return this.#words[this.#at(index) + STATUS];
  }

  /** Value of `enum ibv_wc_opcode`; only if the status is success. */
  opcodeAt(index: number): number {
    return this.#words[this.#at(index) + OPCODE];
  }

  /** Bytes received or read; only for successful receives, RDMA reads and atomics. */
  byteLengthAt(index: number): number {
    return this.#words[this.#at(index) + BYTE_LENGTH];
  }

  qpNumberAt(index: number): number {
    return this.#words[this.#at(index) + QP_NUMBER];
  }

  vendorErrorAt(index: number): number {
    return this.#words[this.#at(index) + VENDOR_ERROR];
  }

  /** Whether the message carried immediate data. */
  hasImmediateAt(index: number): boolean {
    return (this.#words[this.#at(index) + FLAGS] & VALUES.IBV_WC_WITH_IMM) !== 0;
  }

  /** The 32 bits of immediate data; they travel in network byte order. */
  immediateAt(index: number): number {
    return swap32(this.#words[this.#at(index) + IMMEDIATE]);
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

  /** Where a completion begins, in words. */
  #at(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index >= this.#batch) {
      checkWhole('index', index, 0, this.#batch - 1);
    }
    return index * WORDS;
  }
}

const KIND = 'completion queue';
const OPTIONS = ['entries', 'batch', 'events'];
/** The library counts them in an int. */
const MOST = 0x7fff_ffff;

function wordsFor(completions: number): Uint32Array {
  const bytes = completions * LAYOUT.ibv_wc.sizeof;
  try {
    return new Uint32Array(new ArrayBuffer(bytes));
  } catch (cause) {
    throw systemError(E.ENOMEM, 'calloc', `there is no room for ${completions} completions`, { cause });
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
