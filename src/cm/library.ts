import { loadNative, type NativeLibrary } from '../system/load-library.js';
import { endsWithThread } from '../system/thread-end.js';

/**
 * The exported functions of librdmacm. Pointers are plain numbers, structures are Buffers laid out as in layout.ts. All
 * but `createEventChannel`, which returns 0 on failure, return -1 then; errno says why.
 */
export interface Library {
  /** Ends with the thread, and the kernel's side of all its identifiers with it. */
  createEventChannel(): number;
  destroyEventChannel(channel: number): number;
  /** Ends with the thread: librdmacm holds a protection domain for each device as long as there is one on it. */
  createId(channel: number, id: BigUint64Array, context: number, portSpace: number): number;
  /** Have one that came about by a peer's request end with the thread, too. */
  adoptId(id: bigint): void;
  /** One that refuses ends with the channel. */
  destroyId(id: number): void;
  bindAddr(id: number, address: Buffer): number;
  /** @param milliseconds how long it may take */
  resolveAddr(id: number, source: number, destination: Buffer, milliseconds: number): number;
  resolveRoute(id: number, milliseconds: number): number;
  listen(id: number, backlog: number): number;
  connect(id: number, parameters: Buffer): number;
  accept(id: number, parameters: Buffer): number;
  reject(id: number, data: number, length: number): number;
  establish(id: number): number;
  disconnect(id: number): number;
  initQpAttr(id: number, attributes: Buffer, mask: Int32Array): number;
  getCmEvent(channel: number, event: BigUint64Array): number;
  ackCmEvent(event: number | bigint): number;
  /** In network byte order. */
  getSrcPort(id: number): number;
}

const SONAME = 'librdmacm.so.1';

let library: Library | undefined;

/**
 * librdmacm, loaded at the first call.
 * @throws RegcacheError `ERR_NO_LIBRDMACM` if it is not installed
 */
export function librdmacm(): Library {
  return (library ??= loadLibrary(SONAME));
}

/** Load librdmacm under a name of one's own, e.g. a build of rdma-core that is not installed. */
export function loadLibrary(name: string): Library {
  return loadNative(name, bind, {
    code: 'ERR_NO_LIBRDMACM',
    advice: 'install it: Debian and Ubuntu package librdmacm1, Fedora and RHEL librdmacm',
    release: 'rdma-core 23',
  });
}

function bind(lib: NativeLibrary): Library {
  const pointer = 'uintptr_t';
  const channel = endsWithThread(lib, 'rdma_destroy_event_channel', 'void');
  // It says whether it did; one that did not must not be tried again once its channel is gone.
  const id = endsWithThread(lib, 'rdma_destroy_id', 'void');
  return {
    createEventChannel: channel.begin(lib.func('rdma_create_event_channel', pointer, [])),
    destroyEventChannel: channel.end,
    createId: id.beginInto(lib.func('rdma_create_id', 'int', [pointer, 'void *', pointer, 'int'])),
    adoptId: id.adopt,
    destroyId: id.end,
    bindAddr: lib.func('rdma_bind_addr', 'int', [pointer, 'void *']),
    resolveAddr: lib.func('rdma_resolve_addr', 'int', [pointer, pointer, 'void *', 'int']),
    resolveRoute: lib.func('rdma_resolve_route', 'int', [pointer, 'int']),
    listen: lib.func('rdma_listen', 'int', [pointer, 'int']),
    connect: lib.func('rdma_connect', 'int', [pointer, 'void *']),
    accept: lib.func('rdma_accept', 'int', [pointer, 'void *']),
    reject: lib.func('rdma_reject', 'int', [pointer, pointer, 'uint8_t']),
    establish: lib.func('rdma_establish', 'int', [pointer]),
    disconnect: lib.func('rdma_disconnect', 'int', [pointer]),
    initQpAttr: lib.func('rdma_init_qp_attr', 'int', [pointer, 'void *', 'void *']),
    getCmEvent: lib.func('rdma_get_cm_event', 'int', [pointer, 'void *']),
    ackCmEvent: lib.func('rdma_ack_cm_event', 'int', [pointer]),
    getSrcPort: lib.func('rdma_get_src_port', 'uint16_t', [pointer]),
  };
}
