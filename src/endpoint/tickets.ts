import type { RegcacheError } from '../errors.js';
import type { WorkCompletion } from '../verbs/work-completion.js';

/** What becomes of a posted work request, once: its completion, or the error that it ended with. */
export interface Ticket {
  done(completion: WorkCompletion): void;
  failed(error: RegcacheError): void;
  /** Nobody waits for it any longer; the device may still do it. */
  giveUp(reason: unknown): void;
}

/** The work requests of one queue pair that the device has, by their ids. */
export class Tickets {
  readonly #posted = new Map<number, Ticket>();
  #next = 0;

  get size(): number {
    return this.#posted.size;
  }

  /** @returns the id for the work request */
  issue(ticket: Ticket): number {
    const id = this.#next++;
    this.#posted.set(id, ticket);
    return id;
  }

  /** It was not posted after all. */
  withdraw(id: number): void {
    this.#posted.delete(id);
  }

  done(completion: WorkCompletion): void {
    this.#take(completion.id)?.done(completion);
  }

  failed(id: number, error: RegcacheError): void {
    this.#take(id)?.failed(error);
  }

  /** All that are left, when the device has let go of them. */
  allFailed(error: RegcacheError): void {
    for (const id of [...this.#posted.keys()]) this.failed(id, error);
  }

  /** Nobody waits any longer for those that are left, which the device may not have let go of. */
  allGivenUp(error: RegcacheError): void {
    for (const ticket of this.#posted.values()) ticket.giveUp(error);
  }

  #take(id: number): Ticket | undefined {
    const ticket = this.#posted.get(id);
    this.#posted.delete(id);
    return ticket;
  }
}
