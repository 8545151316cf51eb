import type { RegistrationCache } from '../cache/cache.js';
import type { Registration } from '../cache/registration.js';
import type { RegcacheError } from '../errors.js';
import { allocatePageAligned } from '../memory/allocate.js';
import { addressOf } from '../memory/locate.js';
import type { QueuePair } from '../verbs/queue-pair.js';
import type { WorkCompletion } from '../verbs/work-completion.js';
import { ReceiveRequests } from '../verbs/work-request.js';
import { Arrivals } from './arrivals.js';
import { Message, receivedOf } from './message.js';
import type { Tickets } from './tickets.js';

/** Buffers that messages are received into, each posted again when its message is released. */
export class ReceivePool {
  readonly #queuePair: QueuePair;
  readonly #tickets: Tickets;
  readonly #broken: (error: RegcacheError) => void;
  readonly #buffers: number;
  readonly #size: number;
  readonly #memory: Buffer;
  readonly #address: number;
  readonly #registration: Registration;
  readonly #list = new ReceiveRequests();
  readonly #messages = new Arrivals<Message>();
  #ended: RegcacheError | undefined;

  /**
   * @param buffers how many
   * @param size bytes of each
   * @param broken told when one cannot be posted
   * @throws what an acquire of the cache throws
   */
  constructor(
    queuePair: QueuePair,
    cache: RegistrationCache,
    tickets: Tickets,
    { buffers, size, broken }: { buffers: number; size: number; broken: (error: RegcacheError) => void },
  ) {
    this.#queuePair = queuePair;
    this.#tickets = tickets;
    this.#broken = broken;
    this.#size = size;
    this.#memory = allocatePageAligned(buffers * size);
    this.#address = addressOf(this.#memory);
    // Nobody else has the memory: kept, it would stay pinned for nothing.
    this.#registration = cache.acquireUncached(this.#memory);
    this.#buffers = buffers;
  }

  /** @throws what `postReceive` throws */
  start(): void {
    for (let slot = 0; slot < this.#buffers; slot++) this.#post(slot);
  }

  /** Messages that nobody has taken. */
  get arrived(): number {
    return this.#messages.length;
  }

  /** The next message. */
  receive(signal: AbortSignal | undefined): Promise<Message> {
    return this.#messages.next(signal);
  }

  /** To be called when the device has let go of the buffers. What has arrived can still be had. */
  end(error: RegcacheError): void {
    this.#registration.release();
    this.giveUp(error);
  }

  /** Nothing more arrives; the device may not have let go of the buffers. What has arrived can still be had. */
  giveUp(error: RegcacheError): void {
    this.#ended = error;
    this.#messages.end(error);
  }

  #post(slot: number): void {
    const id = this.#tickets.issue({
      done: (completion) => {
        this.#arrive(slot, completion);
      },
      failed: () => undefined,
      giveUp: () => undefined,
    });
    this.#list.clear().receive(id, this.#address + slot * this.#size, this.#size, this.#registration.lkey);
    this.#queuePair.postReceive(this.#list);
  }

  #arrive(slot: number, completion: WorkCompletion): void {
    const received = receivedOf(completion);
    const start = slot * this.#size;
    const data = this.#memory.subarray(start, start + (received.kind === 'send' ? received.byteLength : 0));
    this.#messages.push(
      new Message(received, data, () => {
        this.#repost(slot);
      }),
    );
  }

  #repost(slot: number): void {
    if (this.#ended !== undefined) return;
    try {
      this.#post(slot);
    } catch (error) {
      this.#broken(error as RegcacheError);
    }
  }
}
