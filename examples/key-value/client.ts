import { allocatePageAligned, connect, type Endpoint, type Message } from 'rdma-regcache';
import { hear } from '../json-messages.js';
import { ANSWER, encodePut, type Greeting } from './protocol.js';
import { decode, type Entry, fits, slotOf, TRIES } from './table.js';

/** Torn reads of one slot in a row from which on something else must be wrong. */
const MOST_TORN = 10_000;

/** Gets values out of the server's memory, and puts them by messages. Several calls may be under way at once. */
export class KeyValueClient implements AsyncDisposable {
  readonly #endpoint: Endpoint;
  readonly #table: Greeting;
  /** Memory to read a slot into, used again and again: the cache knows it. */
  readonly #buffers: Buffer[] = [];
  /** Reads that met a slot while it was being written, and were done again. */
  torn = 0;

  private constructor(endpoint: Endpoint, table: Greeting) {
    this.#endpoint = endpoint;
    this.#table = table;
  }

  static async connect(host: string, port: number): Promise<KeyValueClient> {
    const endpoint = await connect({ host, port, receiveSize: 1024 });
    try {
      return new KeyValueClient(endpoint, (await hear(endpoint)) as Greeting);
    } catch (error) {
      endpoint.destroy();
      throw error;
    }
  }

  /** The newest value for a key, with how often it was put. */
  async get(key: string): Promise<Entry | undefined> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const entry = await this.#read(slotOf(this.#table, key, attempt));
      if (entry === undefined) return undefined;
      if (entry.key === key) return entry;
    }
    return undefined;
  }

  /** @throws Error when the table has no room for it */
  async put(key: string, value: Uint8Array): Promise<void> {
    if (!fits(this.#table, key, value)) throw new Error(TOO_LONG);
    const answer = await this.#ask(encodePut(key, value));
    answer.release();
    if (answer.immediate === ANSWER.full) throw new Error(`the table has no room for '${key}'`);
    if (answer.immediate === ANSWER.tooLong) throw new Error(TOO_LONG);
  }

  async #ask(message: Buffer): Promise<Message> {
    try {
      // Messages and their answers keep their order, so this is the answer to this one.
      const [answer] = await Promise.all([this.#endpoint.receive(), this.#endpoint.send(message)]);
      return answer;
    } catch (error) {
      // To what was not sent no answer comes, and who waits for it would take that to the next.
      this.#endpoint.destroy();
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#endpoint.close();
  }

  /** A slot as it was at one moment; undefined when it is free. */
  async #read(slot: number): Promise<Entry | undefined> {
    const { memory, slotBytes } = this.#table;
    const buffer = this.#buffers.pop() ?? allocatePageAligned(slotBytes);
    try {
      for (let attempt = 0; attempt < MOST_TORN; attempt++) {
        await this.#endpoint.read(buffer, memory, { offset: slot * slotBytes });
        const found = decode(buffer);
        if (found === 'free') return undefined;
        if (found !== 'torn') return found;
        this.torn++;
      }
    } finally {
      this.#buffers.push(buffer);
    }
    throw new Error(`slot ${slot} is never whole`);
  }
}

const TOO_LONG = 'the key and its value are too long for a slot of the table';
