import { EventEmitter } from 'node:events';
import { resolveHost } from '../cm/address.js';
import { ConnectionId } from '../cm/connection-id.js';
import type { CmEvent } from '../cm/event-channel.js';
import { regcacheError, type RegcacheError } from '../errors.js';
import { checkSignal, takeOptions } from '../options.js';
import { type Domain, holdDomain } from './domain.js';
import { Arrivals } from './arrivals.js';
import type { Abortable, Endpoint } from './endpoint.js';
import { establish } from './establish.js';
import { type CheckedOptions, type ListenOptions, takeListenOptions } from './options.js';

export interface ListenerEvents {
  /** A connection that a peer asked for did not come about. */
  failed: [error: Error];
}

/**
 * Listen for connections, over all RDMA devices that the address belongs to.
 * @throws ERR_INVALID_OPTION, ERR_NO_LIBRDMACM, ERR_NO_RDMA_DEVICE, ERR_RDMA_ACCESS; EADDRINUSE, and ENODEV or
 * EADDRNOTAVAIL for an address of no RDMA device
 */
export async function listen(options: ListenOptions = {}): Promise<Listener> {
  const { host, port, backlog, endpoint } = takeListenOptions(options);
  const address = await resolveHost(host, port);
  const id = ConnectionId.create();
  try {
    id.listen(address, backlog);
    return new Listener(id, endpoint, backlog);
  } catch (error) {
    id.close();
    throw error;
  }
}

/** Takes in peers that connect: `for await (const endpoint of listener)`. Made by `listen`. */
export class Listener extends EventEmitter<ListenerEvents> implements AsyncDisposable {
  readonly #id: ConnectionId;
  readonly #options: CheckedOptions;
  readonly #backlog: number;
  /** The port it listens on. */
  readonly port: number;
  /** Connected, and taken by nobody. */
  readonly #connected = new Arrivals<Endpoint>();
  #ended: RegcacheError | undefined;
  /** Handshakes under way. */
  #pending = 0;
  /** So that what connections share outlasts each of them. */
  readonly #domains = new Map<string, Domain>();

  /** @internal */
  constructor(id: ConnectionId, options: CheckedOptions, backlog: number) {
    super();
    if (!(id instanceof ConnectionId)) {
      throw regcacheError('ERR_INVALID_OPTION', 'a listener is made by listen(), not by its constructor');
    }
    this.#id = id;
    this.#options = options;
    this.#backlog = backlog;
    this.port = id.localPort;
    id.onEvent = (event) => {
      if (event.kind === 'CONNECT_REQUEST') void this.#take(event);
    };
  }

  get closed(): boolean {
    return this.#id.closed;
  }

  /**
   * The next peer that connects, or has.
   * @throws ERR_CLOSED, also when the listener is closed meanwhile; the reason of the signal
   */
  async accept(options: Abortable = {}): Promise<Endpoint> {
    const { signal } = takeOptions(options, ['signal']);
    checkSignal(signal);
    return this.#connected.next(signal);
  }

  /** The peers as they connect, until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Endpoint, void, undefined> {
    for (;;) {
      let endpoint: Endpoint;
      try {
        endpoint = await this.accept();
      } catch (error) {
        if (error === this.#ended) return;
        throw error;
      }
      yield endpoint;
    }
  }

  /** Take in no more; those connected that nobody has taken are disconnected, the others go on. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.#id.close();
    this.#ended = regcacheError('ERR_CLOSED', 'the listener was closed');
    this.#connected.end(this.#ended);
    await Promise.all(this.#connected.takeAll().map((endpoint) => endpoint.close()));
    const domains = [...this.#domains.values()];
    this.#domains.clear();
    await Promise.all(domains.map((domain) => domain.release()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(request: CmEvent): Promise<void> {
    const id = ConnectionId.ofRequest(request);
    if (this.#pending + this.#connected.length >= this.#backlog) {
      refuse(id);
      return;
    }
    this.#pending++;
    try {
      this.#holdDomain(id.device!);
      const endpoint = await establish(id, this.#options, (link) => link.accept(request));
      if (this.closed) await endpoint.close();
      else this.#connected.push(endpoint);
    } catch (error) {
      refuse(id);
      this.emit('failed', error as Error);
    } finally {
      this.#pending--;
    }
  }

  #holdDomain(device: string): void {
    if (!this.#domains.has(device)) this.#domains.set(device, holdDomain(device, this.#options));
  }
}

/** A peer that asked need not wait for its time limit. */
function refuse(id: ConnectionId): void {
  if (id.closed) return;
  try {
    id.reject();
  } catch {
    // It is gone, or has its answer.
  }
  id.close();
}
