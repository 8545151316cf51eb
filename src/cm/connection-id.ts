import koffi from 'koffi';
import { regcacheError, RegcacheError, systemError } from '../errors.js';
import { copyFrom, E } from '../system/libc.js';
import { LAYOUT as VERBS } from '../verbs/layout.js';
import { readPointer, readString } from '../verbs/library.js';
import { type CmEvent, EventChannel } from './event-channel.js';
import { type EventKind, LAYOUT, VALUES } from './layout.js';
import { librdmacm, type Library } from './library.js';

/** What both sides of a connection agree on (rdma_connect(3)). */
export interface ConnectionParameters {
  /** Of a queue pair in state INIT at least. */
  readonly qpNumber: number;
  /** RDMA reads and atomics that this side answers at once. */
  readonly readsAccepted: number;
  /** RDMA reads and atomics that this side has in flight at once. */
  readonly readsInitiated: number;
  /** How often to resend, 0 to 7. */
  readonly retries: number;
  /** How often to resend when the peer has no receive posted, 0 to 7; 7 for ever. */
  readonly receiverNotReadyRetries: number;
}

/** Milliseconds for neighbour discovery, which asks again several times. */
const RESOLVE_MS = 5000;

/**
 * An identifier of the connection manager, the RDMA counterpart of a socket, for a queue pair of our own. Its steps run
 * one at a time; what comes unasked goes to `onEvent`.
 */
export class ConnectionId {
  readonly #channel: EventChannel;
  #pointer: number;
  #step:
    | { readonly kind: EventKind; resolve: (event: CmEvent) => void; reject: (reason: Error) => void }
    | undefined;
  /** Why no further step is taken. */
  #interrupted: Error | undefined;
  /** What comes when no step waits for it. */
  onEvent: ((event: CmEvent) => void) | undefined;
  /** The device is gone, or events cannot be read: nothing comes any more. */
  onLost: ((error: RegcacheError) => void) | undefined;

  private constructor(channel: EventChannel, pointer: number) {
    this.#channel = channel;
    this.#pointer = pointer;
    channel.add(pointer, {
      heard: (event) => {
        this.#hear(event);
      },
      lost: (error) => {
        this.#lose(error);
      },
    });
  }

  /** @throws ERR_NO_LIBRDMACM, ERR_NO_RDMA_DEVICE, ERR_RDMA_ACCESS, or the error of rdma_create_id(3) */
  static create(): ConnectionId {
    const channel = EventChannel.get();
    const out = new BigUint64Array(new ArrayBuffer(8));
    if (librdmacm().createId(channel.pointer, out, 0, VALUES.RDMA_PS_TCP) !== 0) {
      const errno = koffi.errno();
      channel.leave();
      throw systemError(errno, 'rdma_create_id');
    }
    return new ConnectionId(channel, Number(out[0]));
  }

  /** That of a connection which a peer asks for. */
  static ofRequest(request: CmEvent): ConnectionId {
    return new ConnectionId(EventChannel.get(), request.id);
  }

  /**
   * Another at the address of this machine that this one has, bound to a device that has it: to be told when that goes.
   * @throws what `create` throws, or the error of rdma_bind_addr(3)
   */
  atSameAddress(): ConnectionId {
    const address = Buffer.alloc(LAYOUT.sockaddr_in6.sizeof);
    copyFrom(address, this.#open() + LAYOUT.rdma_cm_id['route.addr.src_addr'], address.length);
    // At any port.
    address.writeUInt16BE(0, LAYOUT.sockaddr_in.sin_port);
    const other = ConnectionId.create();
    try {
      other.#bind(address);
      return other;
    } catch (error) {
      other.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#pointer === 0;
  }

  /** Name of the device it is bound to; undefined while it is bound to none. */
  get device(): string | undefined {
    const context = readPointer(this.#open() + LAYOUT.rdma_cm_id.verbs);
    if (context === 0) return undefined;
    return readString(readPointer(context + VERBS.ibv_context.device) + VERBS.ibv_device.name);
  }

  /** Port of the device, from 1. */
  get devicePort(): number {
    return koffi.decode.uint8(this.#open() + LAYOUT.rdma_cm_id.port_num);
  }

  /** Port number of the service, as of TCP. */
  get localPort(): number {
    const port = librdmacm().getSrcPort(this.#open());
    return ((port & 0xff) << 8) | (port >> 8);
  }

  /**
   * Find the device and the way to a `struct sockaddr`.
   * @throws the error of rdma_resolve_addr(3) or rdma_resolve_route(3), `ERR_CLOSED`
   */
  async resolve(address: Buffer): Promise<void> {
    await this.#do('ADDR_RESOLVED', 'rdma_resolve_addr', (library, id) =>
      library.resolveAddr(id, 0, address, RESOLVE_MS),
    );
    await this.#do('ROUTE_RESOLVED', 'rdma_resolve_route', (library, id) =>
      library.resolveRoute(id, RESOLVE_MS),
    );
  }

  /** Ask the peer. @returns its answer, to be confirmed with `establish` */
  async connect(parameters: ConnectionParameters): Promise<CmEvent> {
    const bytes = encode(parameters);
    return this.#do('CONNECT_RESPONSE', 'rdma_connect', (library, id) => library.connect(id, bytes));
  }

  establish(): void {
    if (this.#interrupted !== undefined) throw this.#interrupted;
    this.#call('rdma_establish', (library, id) => library.establish(id));
  }

  /** Let the peer in, and wait until it knows. */
  async accept(parameters: ConnectionParameters): Promise<void> {
    const bytes = encode(parameters);
    await this.#do('ESTABLISHED', 'rdma_accept', (library, id) => library.accept(id, bytes));
  }

  /** Take connections at a `struct sockaddr`; requests come to `onEvent`. */
  listen(address: Buffer, backlog: number): void {
    this.#bind(address);
    this.#call('rdma_listen', (library, id) => library.listen(id, backlog));
  }

  /**
   * A `struct ibv_qp_attr` for the next state of the queue pair.
   * @param state a value of `enum ibv_qp_state`
   */
  attributes(state: number): { attributes: Buffer; mask: number } {
    const attributes = Buffer.alloc(VERBS.ibv_qp_attr.sizeof);
    attributes.writeInt32LE(state, VERBS.ibv_qp_attr.qp_state);
    const mask = new Int32Array(new ArrayBuffer(4));
    this.#call('rdma_init_qp_attr', (library, id) => library.initQpAttr(id, attributes, mask));
    return { attributes, mask: mask[0] };
  }

  /** Tell a peer that asked that it may not. */
  reject(): void {
    this.#call('rdma_reject', (library, id) => library.reject(id, 0, 0));
  }

  /** Have the step that is under way fail, and those to come. The identifier stays open. */
  interrupt(reason: Error): void {
    this.#interrupted ??= reason;
    this.#step?.reject(reason);
    this.#step = undefined;
  }

  /** Disconnect, if it is connected, and forget it. Idempotent. */
  close(): void {
    const pointer = this.#pointer;
    if (pointer === 0) return;
    this.#pointer = 0;
    const library = librdmacm();
    // One that is not connected refuses, and one that cannot be destroyed is the kernel's to end: with the channel.
    library.disconnect(pointer);
    library.destroyId(pointer);
    this.#channel.remove(pointer);
    this.interrupt(regcacheError('ERR_CLOSED', 'the connection was closed while it was being made'));
  }

  #open(): number {
    if (this.#pointer === 0) throw regcacheError('ERR_CLOSED', 'this connection was closed before');
    return this.#pointer;
  }

  #bind(address: Buffer): void {
    if (librdmacm().bindAddr(this.#open(), address) !== 0) {
      const errno = koffi.errno();
      // Of a port that is taken at any address, the kernel says that there is no such address (drivers/infiniband/core/cma.c).
      const taken = errno === E.EADDRNOTAVAIL && isAny(address);
      throw callError(taken ? E.EADDRINUSE : errno, 'rdma_bind_addr');
    }
  }

  #call(syscall: string, call: (library: Library, id: number) => number): void {
    if (call(librdmacm(), this.#open()) !== 0) throw callError(koffi.errno(), syscall);
  }

  #do(kind: EventKind, syscall: string, call: (library: Library, id: number) => number): Promise<CmEvent> {
    return new Promise((resolve, reject) => {
      if (this.#interrupted !== undefined) throw this.#interrupted;
      this.#call(syscall, call);
      this.#step = { kind, resolve, reject };
    });
  }

  #hear(event: CmEvent): void {
    if (event.kind === 'DEVICE_REMOVAL') {
      this.#lose(regcacheError('ERR_NO_RDMA_DEVICE', 'the RDMA device is gone'));
      return;
    }
    const step = this.#step;
    const fails = event.kind in FAILURES || event.kind === 'DISCONNECTED';
    if (step === undefined) this.onEvent?.(event);
    else if (event.kind === step.kind || fails) {
      // At once: the next event is for others.
      this.#step = undefined;
      if (fails) step.reject(eventError(event));
      else step.resolve(event);
    }
  }

  #lose(error: RegcacheError): void {
    this.interrupt(error);
    this.onLost?.(error);
  }
}

function encode(parameters: ConnectionParameters): Buffer {
  const at = LAYOUT.rdma_conn_param;
  const bytes = Buffer.alloc(at.sizeof);
  bytes.writeUInt8(parameters.readsAccepted, at.responder_resources);
  bytes.writeUInt8(parameters.readsInitiated, at.initiator_depth);
  bytes.writeUInt8(1, at.flow_control);
  bytes.writeUInt8(parameters.retries, at.retry_count);
  bytes.writeUInt8(parameters.receiverNotReadyRetries, at.rnr_retry_count);
  bytes.writeUInt32LE(parameters.qpNumber, at.qp_num);
  return bytes;
}

const NO_WAY =
  'no RDMA device has a way to that address: see `rdma link` and `ip route`; this machine is reached by the address of a device, not by 127.0.0.1';

/** What failed, with the errno where the event has none, and what to do. */
const FAILURES: Partial<Record<EventKind, readonly [syscall: string, errno: number, advice: string]>> = {
  ADDR_ERROR: ['rdma_resolve_addr', E.EADDRNOTAVAIL, NO_WAY],
  ROUTE_ERROR: ['rdma_resolve_route', E.EHOSTUNREACH, 'there is no route to the peer'],
  CONNECT_ERROR: ['rdma_connect', E.ECONNABORTED, 'the connection could not be set up'],
  UNREACHABLE: ['rdma_connect', E.ETIMEDOUT, 'the peer does not answer'],
  REJECTED: ['rdma_connect', E.ECONNREFUSED, 'nobody listens there, or the listener has no room'],
};

function eventError({ kind, status }: CmEvent): RegcacheError {
  const failure = FAILURES[kind];
  if (failure === undefined) return regcacheError('ERR_DISCONNECTED', 'the peer ended the connection');
  const [syscall, standard, advice] = failure;
  // The reason of a rejection is a number of the connection manager's own, not an errno.
  return systemError(kind !== 'REJECTED' && status < 0 ? -status : standard, syscall, advice);
}

/** Whether a `struct sockaddr` stands for all addresses of this machine. */
const isAny = (address: Buffer): boolean =>
  address.subarray(LAYOUT.sockaddr_in.sin_addr).every((byte) => byte === 0);

/** Calls that take an address of this machine's own. */
const OF_A_LISTENER = ['rdma_bind_addr', 'rdma_listen'];
const NOT_OURS =
  'no RDMA device has that address (see `rdma link` and `ip address`), or another program listens there';

function callError(errno: number, syscall: string): RegcacheError {
  const listens = OF_A_LISTENER.includes(syscall);
  if (listens && errno === E.EADDRINUSE) {
    return systemError(errno, syscall, 'another program listens on that port');
  }
  const noneHas = [E.ENODEV, E.EADDRNOTAVAIL, E.ENETUNREACH, E.EHOSTUNREACH].includes(errno);
  return systemError(errno, syscall, noneHas ? (listens ? NOT_OURS : NO_WAY) : undefined);
}
