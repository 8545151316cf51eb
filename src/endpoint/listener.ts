import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { resolveHost } from '../cm/address.js';
import { ConnectionId } from '../cm/connection-id.js';
import type { CmEvent } from '../cm/event-channel.js';
import { regcacheError, type RegcacheError } from '../errors.js';
import { jsonOf, showFacts, type Stylizing } from '../inspection.js';
import { checkSignal, takeOptions } from '../options.js';
import { Arrivals } from './arrivals.js';
import type { Abortable, Endpoint } from './endpoint.js';
import { establish } from './establish.js';
import { KeptDomain } from './kept-domain.js';
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
  #closing: Promise<void> | undefined;
  /** Handshakes under way, which settle and never reject. */
  readonly #handshakes = new Map<ConnectionId, Promise<void>>();
  /** By device, so that what connections share outlasts each of them. */
  readonly #domains = new Map<string, KeptDomain>();
  /** Of those whose device is gone, which settle and never reject. */
  readonly #releases = new Set<Promise<void>>();

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
      if (event.kind === 'CONNECT_REQUEST') this.#take(event);
    };
    id.onLost = (error) => {
      this.#end(error).catch(() => undefined);
    };
  }

  /** It takes in no more. */
  get closed(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * The next peer that connects, or has.
   * @throws ERR_CLOSED, also when the listener is closed meanwhile; ERR_NO_RDMA_DEVICE when the device of the address that
   * it listens at is gone; the reason of the signal
   */
  async accept(options: Abortable = {}): Promise<Endpoint> {
    const { signal } = takeOptions(options, ['signal']);
    checkSignal(signal);
    return this.#connected.next(signal);
  }

  /** The peers as they connect, until the listener is closed; throws as `accept` when it ended otherwise. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Endpoint, void, undefined> {
    for (;;) {
      let endpoint: Endpoint;
      try {
        endpoint = await this.accept();
      } catch (error) {
        if (error === this.#ended && this.#ended?.code === 'ERR_CLOSED') return;
        throw error;
      }
      yield endpoint;
    }
  }

  /**
   * Take in no more, break off what is being connected, and disconnect those that nobody has taken; the others go on.
   * Idempotent.
   */
  close(): Promise<void> {
    return this.#end(regcacheError('ERR_CLOSED', 'the listener was closed'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  [inspect.custom](depth: number, options: Stylizing): string {
    return showFacts('Listener', () => this.#facts(), depth, options);
  }

  /** @internal */
  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(() => this.#facts());
  }

  #facts(): Readonly<Record<string, unknown>> {
    const { port, closed } = this;
    return { port, connecting: this.#handshakes.size, waiting: this.#connected.length, closed };
  }

  #end(error: RegcacheError): Promise<void> {
    return (this.#closing ??= this.#close(error));
  }

  async #close(error: RegcacheError): Promise<void> {
    this.#ended = error;
    this.#id.close();
    for (const id of this.#handshakes.keys()) id.interrupt(error);
    await Promise.all(this.#handshakes.values());
    this.#connected.end(error);
    await Promise.all([
      ...this.#connected.takeAll().map((endpoint) => endpoint.close()),
      ...[...this.#domains.values()].map((domain) => domain.release()),
      ...this.#releases,
    ]);
  }

  #take(request: CmEvent): void {
    const id = ConnectionId.ofRequest(request);
    // One that has gone and sent nothing is nobody's peer any more.
    this.#connected.drop(({ closed, arrived }) => closed && arrived === 0);
    if (this.#handshakes.size + this.#connected.length >= this.#backlog) {
      refuse(id);
      return;
    }
    const handshake = this.#shakeHands(id, request).finally(() => this.#handshakes.delete(id));
    this.#handshakes.set(id, handshake);
  }

  async #shakeHands(id: ConnectionId, request: CmEvent): Promise<void> {
    let gone: (() => void) | undefined;
    try {
      gone = this.#keepDomain(id);
      const endpoint = await establish(id, this.#options, (link) => link.accept(request));
      endpoint.once('close', (error) => {
        if (isGone(error?.cause)) gone!();
      });
      this.#connected.push(endpoint);
    } catch (error) {
      refuse(id);
      if (isGone(error)) gone?.();
      // What a listener of the event throws is no failure of the handshake.
      if (!this.closed) queueMicrotask(() => this.emit('failed', error as Error));
    }
  }

  /** @returns to be called when the device of a connection is gone */
  #keepDomain(id: ConnectionId): () => void {
    const device = id.device!;
    let kept = this.#domains.get(device);
    const gone = (): void => {
      // Another of its name may take its place.
      if (this.#domains.get(device) === kept) this.#domains.delete(device);
      const released = kept!.release().catch(() => undefined);
      this.#releases.add(released);
      void released.then(() => this.#releases.delete(released));
    };
    if (kept === undefined)
      this.#domains.set(device, (kept = new KeptDomain(id, device, this.#options, gone)));
    return gone;
  }
}

const isGone = (error: unknown): boolean =>
  (error as RegcacheError | undefined)?.code === 'ERR_NO_RDMA_DEVICE';

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
