import { existsSync } from 'node:fs';
import koffi from 'koffi';
import { regcacheError, type RegcacheError, systemError } from '../errors.js';
import { copyFrom, E } from '../system/libc.js';
import { watchReadable, type ReadableWatch } from '../system/readable.js';
import { EVENTS, type EventKind, LAYOUT } from './layout.js';
import { librdmacm } from './library.js';

/** What the connection manager reports of an identifier (rdma_get_cm_event(3)). */
export interface CmEvent {
  readonly kind: EventKind;
  /** Negative errno, or for `REJECTED` the peer's reason; 0 for success. */
  readonly status: number;
  /** The identifier: for `CONNECT_REQUEST` a new one. */
  readonly id: number;
  /** RDMA reads and atomics that the peer has in flight at once. */
  readonly responderResources: number;
  /** RDMA reads and atomics that the peer answers at once. */
  readonly initiatorDepth: number;
}

/** Whom the events of an identifier are for. */
export interface CmListener {
  heard(event: CmEvent): void;
  /** No event comes any more. */
  lost(error: RegcacheError): void;
}

const at = LAYOUT.rdma_cm_event;
/** Where the addresses of identifiers are in it, in words of 64 bits. */
const ID = at.id / 8;
const LISTEN_ID = at.listen_id / 8;
const DEVICE_FILE = '/dev/infiniband/rdma_cm';

/**
 * The events of all identifiers of this thread, on the event loop. Open, and keeping the process alive, while there is
 * any identifier.
 */
export class EventChannel {
  static #current: EventChannel | undefined;
  readonly pointer: number;
  readonly #watch: ReadableWatch;
  readonly #listeners = new Map<number, CmListener>();
  readonly #found = new BigUint64Array(new ArrayBuffer(8));
  readonly #words = new BigUint64Array(at.sizeof / 8);
  readonly #copy = Buffer.from(this.#words.buffer);
  #closed = false;

  private constructor() {
    const library = librdmacm();
    this.pointer = library.createEventChannel();
    if (this.pointer === 0) throw openError(koffi.errno());
    try {
      this.#watch = watchReadable(koffi.decode.int32(this.pointer + LAYOUT.rdma_event_channel.fd), () => {
        this.#onReadable();
      });
    } catch (error) {
      library.destroyEventChannel(this.pointer);
      throw error;
    }
  }

  /**
   * That of this thread. To be left with `leave` unless an identifier is added.
   * @throws ERR_NO_LIBRDMACM, ERR_NO_RDMA_DEVICE, ERR_RDMA_ACCESS, or the error of rdma_create_event_channel(3)
   */
  static get(): EventChannel {
    return (EventChannel.#current ??= new EventChannel());
  }

  add(id: number, listener: CmListener): void {
    this.#listeners.set(id, listener);
  }

  remove(id: number): void {
    this.#listeners.delete(id);
    this.leave();
  }

  /** Close it if nobody is on it. */
  leave(): void {
    if (this.#listeners.size !== 0 || this.#closed) return;
    this.#closed = true;
    this.#abandon();
    librdmacm().destroyEventChannel(this.pointer);
  }

  /** Hear nothing more; who comes next gets another. */
  #abandon(): void {
    if (EventChannel.#current !== this) return;
    EventChannel.#current = undefined;
    this.#watch.close();
  }

  /** Tell all who wait: nobody else is there to catch an error of the event loop's. */
  #lost(error: RegcacheError): void {
    this.#abandon();
    for (const listener of [...this.#listeners.values()]) listener.lost(error);
  }

  #onReadable(): void {
    const library = librdmacm();
    const result = library.getCmEvent(this.pointer, this.#found);
    // At once, with no function or loop in between, where worker.terminate() could stop this thread: rdma_destroy_id
    // waits until every event was acknowledged, an acknowledged one is gone, and with it the identifier of a request.
    if (result === 0) {
      copyFrom(this.#copy, this.#found[0], at.sizeof);
      if (this.#words[LISTEN_ID] !== 0n) library.adoptId(this.#words[ID]);
      library.ackCmEvent(this.#found[0]);
    } else {
      const errno = koffi.errno();
      if (errno !== E.EAGAIN) this.#lost(systemError(errno, 'rdma_get_cm_event'));
      return;
    }
    const event = readEvent(this.#copy);
    const listening = Number(this.#words[LISTEN_ID]);
    const listener = this.#listeners.get(event.kind === 'CONNECT_REQUEST' ? listening : event.id);
    if (listener !== undefined) listener.heard(event);
    // Of a listener that was closed meanwhile.
    else if (event.kind === 'CONNECT_REQUEST') library.destroyId(event.id);
  }
}

function readEvent(bytes: Buffer): CmEvent {
  return {
    kind: EVENTS[bytes.readInt32LE(at.event)] ?? 'CONNECT_ERROR',
    status: bytes.readInt32LE(at.status),
    id: Number(bytes.readBigUInt64LE(at.id)),
    responderResources: bytes.readUInt8(at['param.conn.responder_resources']),
    initiatorDepth: bytes.readUInt8(at['param.conn.initiator_depth']),
  };
}

function openError(errno: number): Error {
  const details = { errno, syscall: 'rdma_create_event_channel', path: DEVICE_FILE };
  if (errno === E.EACCES || errno === E.EPERM) {
    return regcacheError('ERR_RDMA_ACCESS', `no permission to open ${DEVICE_FILE}`, {
      ...details,
      advice: 'give this user read and write access to it (a udev rule, usually for the group rdma)',
    });
  }
  if (!existsSync(DEVICE_FILE)) {
    return regcacheError('ERR_NO_RDMA_DEVICE', `there is no ${DEVICE_FILE}`, {
      ...details,
      advice: 'load the connection manager (modprobe rdma_ucm) and the driver of an RDMA device',
    });
  }
  return systemError(errno, 'rdma_create_event_channel', undefined, details);
}
