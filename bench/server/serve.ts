import { addressOf, allocatePageAligned } from 'rdma-regcache';
import type { MemoryName, MonitorOrCopy } from '../about/server.js';
import { Link } from './link.js';
import { MOST, Requests } from './requests.js';
import { openSender, type Sender } from './sender.js';
import { Store } from './store.js';
import { type Verdict, verdictOn, write } from './value.js';

/** What a server is to start with. */
export interface Task {
  readonly memory: MemoryName;
  readonly seed: number;
  readonly keys: number;
  /** Part of the requests that replace a value. */
  readonly puts: number;
  /** Requests that nobody measures, after which the popular values are registered. */
  readonly warmUp: number;
}

/** What came of some requests. */
export interface Sample {
  /** Of each request, in us. */
  readonly latencies: readonly number[];
  /** How many of them asked for a value, and how many registrations were made for those. */
  readonly gets: number;
  readonly registrations: number;
  /** Of each value that was replaced, the time spent in getting memory and giving it back, in us. */
  readonly allocating: readonly number[];
  /** Of all requests since the start, also those that nobody measured. */
  readonly total: Readonly<Record<'replies' | Verdict, number>>;
}

/** From a start to its end. */
interface Run {
  readonly sender: Sender;
  readonly store: Store;
  readonly wanted: Requests;
  readonly total: Record<'replies' | Verdict, number>;
}

/** A key-value server with one client, which waits for each reply and looks at it. */
export class Server {
  readonly #link = new Link(MOST);
  readonly #monitor: MonitorOrCopy;
  /** What the client sends. */
  readonly #incoming = allocatePageAligned(MOST);
  readonly #incomingAddress = addressOf(this.#incoming);
  #lastNumber = 0;
  #run: Run | undefined;

  constructor(monitor: MonitorOrCopy) {
    this.#monitor = monitor;
  }

  /**
   * With a cache and values of its own: what one way of using memory leaves behind does not harm another one.
   * @throws RegcacheError `ERR_NO_MONITOR` where there is no such monitor
   */
  async start({ memory, seed, keys, puts, warmUp }: Task): Promise<void> {
    const sender = openSender(this.#monitor, this.#link);
    const store = new Store(memory, keys);
    const wanted = new Requests(seed, keys, puts);
    const total = { replies: 0, fresh: 0, stale: 0, wrong: 0 };
    this.#run = { sender, store, wanted, total };
    for (let key = 0; key < keys; key++) {
      const length = wanted.length();
      store.put(key, this.#incomingAddress, length, this.#receive(length));
    }
    await this.#serve(this.#run, warmUp);
  }

  async serve(requests: number): Promise<Sample> {
    const run = this.#run!;
    const { sender, store, total } = run;
    const [replies, registrations, puts] = [total.replies, sender.registrations(), store.allocating.length];
    const latencies = await this.#serve(run, requests);
    return {
      latencies,
      gets: total.replies - replies,
      registrations: sender.registrations() - registrations,
      allocating: store.allocating.slice(puts),
      total,
    };
  }

  end(): void {
    this.#run?.sender[Symbol.dispose]();
    this.#run?.store.end();
    this.#run = undefined;
  }

  /** @returns the latencies, in us */
  async #serve({ sender, store, wanted, total }: Run, requests: number): Promise<number[]> {
    const latencies: number[] = [];
    for (let n = 0; n < requests; n++) {
      const { key, length } = wanted.next();
      const number = length === undefined ? 0 : this.#receive(length);
      // What was there cannot be taken for a reply.
      if (length === undefined) this.#link.reply(store.get(key).length).fill(0);
      const start = performance.now();
      // Requests come in by the event loop.
      await new Promise(setImmediate);
      if (length === undefined) {
        const value = store.get(key);
        sender.send(value.address, value.length);
        latencies.push(1000 * (performance.now() - start));
        total.replies++;
        total[verdictOn(this.#link.reply(value.length), value.number)]++;
      } else {
        store.put(key, this.#incomingAddress, length, number);
        latencies.push(1000 * (performance.now() - start));
      }
    }
    return latencies;
  }

  /** The bytes of a new value come in. @returns its number */
  #receive(length: number): number {
    write(this.#incoming.subarray(0, length), ++this.#lastNumber);
    return this.#lastNumber;
  }

  close(): void {
    this.end();
    this.#link.close();
  }
}
