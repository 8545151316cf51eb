import type { Registration } from '../cache/registration.js';
import { regcacheError, type RegcacheError } from '../errors.js';
import { locate, type Memory } from '../memory/locate.js';
import type { WorkCompletion } from '../verbs/work-completion.js';
import type { Ticket } from './tickets.js';

/** Where the bytes of a work request are on this side. */
export interface Segment {
  readonly address: number;
  readonly length: number;
  readonly lkey: number;
}

/** What a work request is, apart from when it is posted. */
export interface Task<List, T> {
  /** Registered for it, unless it has no bytes. */
  readonly memory: Memory | undefined;
  /** Rights that the registration needs, bits of Access. */
  readonly access: number;
  /** Write the request into a list that is posted next. */
  write(list: List, id: number, segment: Segment): void;
  /** @param length bytes of the memory */
  result(completion: WorkCompletion, length: number): T;
  /** Its memory is not in use any more, or never was. */
  over?(): void;
}

const NO_BYTES: Segment = { address: 0, length: 0, lkey: 0 };

/** A work request from its call to its completion, with the promise for it. */
export class Work<List, T = unknown> implements Ticket {
  readonly task: Task<List, T>;
  readonly promise: Promise<T>;
  /** Held until the device has let go of the memory, whatever becomes of the promise. */
  registration: Registration | undefined;
  #length = 0;
  #resolve!: (value: T) => void;
  #reject!: (reason: unknown) => void;
  #over: (() => void) | undefined;

  /** @param over told when its room in the queue is free again */
  constructor(task: Task<List, T>) {
    this.task = task;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever has the promise hears of it; with a batch, some of its promises nobody has.
    this.promise.catch(() => undefined);
  }

  /** Where its bytes are, all of which the registration covers. @throws ERR_INVALID_LENGTH when they have moved away */
  segment(): Segment {
    const { memory } = this.task;
    if (memory === undefined) return NO_BYTES;
    const { registration } = this;
    const here = { address: 0, length: 0 };
    locate(memory, here);
    const { address, length } = here;
    if (
      registration === undefined ||
      address < registration.address ||
      address + length > registration.address + registration.length
    ) {
      throw regcacheError('ERR_INVALID_LENGTH', 'the memory moved while it was being registered', {
        address,
        length,
      });
    }
    this.#length = length;
    return { address, length, lkey: registration.lkey };
  }

  /** @param over told when the device has done it, or failed to */
  posted(over: () => void): void {
    this.#over = over;
  }

  done(completion: WorkCompletion): void {
    const value = this.task.result(completion, this.#length);
    this.letGo();
    this.#resolve(value);
    this.#over?.();
  }

  failed(error: RegcacheError): void {
    this.letGo();
    this.#reject(error);
    this.#over?.();
  }

  /** The caller does not wait any longer. */
  giveUp(reason: unknown): void {
    this.#reject(reason);
  }

  /** The device does not have it. */
  letGo(): void {
    this.registration?.release();
    this.registration = undefined;
    this.task.over?.();
  }
}
