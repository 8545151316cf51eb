import { completionError, SUCCESS } from '../../src/verbs/work-completion.js';
import { SendFlag, SendRequests } from '../../src/verbs/work-request.js';
import type { Flow } from './cases.js';
import type { Connection } from '../connection.js';
import type { Messages } from './messages.js';
import type { Subject } from './subjects.js';

/** Transfers messages of a subject, as many at once as the window has room for, and polls for their completions. */
export class Stream {
  /** Messages that were transferred. */
  done = 0;
  #posted = 0;
  readonly #connection: Connection;
  readonly #messages: Messages;
  readonly #rkey: number;
  readonly #subject: Subject;
  readonly #flow: Flow;
  readonly #requests: SendRequests;

  constructor(connection: Connection, messages: Messages, rkey: number, subject: Subject, flow: Flow) {
    this.#connection = connection;
    this.#messages = messages;
    this.#rkey = rkey;
    this.#subject = subject;
    this.#flow = flow;
    this.#requests = new SendRequests(flow.list);
  }

  /**
   * @param messages a multiple of a list
   * @returns milliseconds
   */
  run(messages: number): number {
    const { window, list } = this.#flow;
    const goal = this.done + messages;
    // Not looked at in between: it takes as long as a message where a clock is emulated.
    const start = performance.now();
    while (this.done < goal) {
      while (this.#posted < goal && this.#posted - this.done + list <= window) this.#post();
      this.#take();
    }
    return performance.now() - start;
  }

  /** A list, the last of which asks for a completion. */
  #post(): void {
    const { bytes, peerAddress, buffers } = this.#messages;
    const { operation, list } = this.#flow;
    const { addresses } = this.#subject;
    const requests = this.#requests.clear();
    const end = this.#posted + list;
    for (let n = this.#posted; n < end; n++) {
      const lkey = this.#subject.begin(n);
      const from = addresses[n % addresses.length];
      const to = peerAddress + (n % buffers.length) * bytes;
      const flags = n === end - 1 ? SendFlag.SIGNALED : 0;
      if (operation === 'write') requests.write(n, from, bytes, lkey, to, this.#rkey, flags);
      else requests.read(n, from, bytes, lkey, to, this.#rkey, flags);
    }
    this.#connection.qp.postSend(requests);
    this.#posted = end;
  }

  #take(): void {
    const { cq } = this.#connection;
    const count = cq.pollRaw();
    for (let i = 0; i < count; i++) {
      if (cq.statusAt(i) !== SUCCESS) throw completionError(cq.completionAt(i));
      // Those before it are done, too.
      for (const last = cq.idAt(i); this.done <= last; this.done++) this.#subject.end(this.done);
    }
  }
}
