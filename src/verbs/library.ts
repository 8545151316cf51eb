import koffi from 'koffi';
import { systemError, type ErrorDetails, type RegcacheError } from '../errors.js';
import { loadNative, type NativeLibrary } from '../system/load-library.js';
import type { Outcome } from '../system/off-thread.js';
import { endsWithThread } from '../system/thread-end.js';

/**
 * The exported functions of libibverbs. Pointers are plain numbers (user addresses are below 2^53), structures are
 * Buffers laid out as in layout.ts. Functions that return a pointer return 0 on failure and set errno; most others
 * return the errno itself.
 */
export interface Library {
  getDeviceList(count: Buffer): number;
  freeDeviceList(list: number): void;
  getDeviceGuid(device: number): number | bigint;
  openDevice(device: number): number;
  closeDevice(context: number): number;
  queryDevice(context: number, attributes: Buffer): number;
  /** Fills the first 48 bytes of ibv_port_attr only: the exported symbol predates `port_cap_flags2`. */
  queryPort(context: number, port: number, attributes: Buffer): number;
  queryGid(context: number, port: number, index: number, entry: Buffer, flags: number, size: number): number;
  queryGidTable(context: number, entries: Buffer, max: number, flags: number, size: number): number | bigint;
  /** Absent before rdma-core 35. */
  isForkInitialized?: () => number;
  allocPd(context: number): number;
  deallocPd(pd: number): number;
  regMr(pd: number, address: number, length: number, access: number): number;
  regMrIova2(pd: number, address: number, length: number, iova: number, access: number): number;
  deregMr(mr: number): number;
  /** The same three, by another thread. */
  regMrAsync(pd: number, address: number, length: number, access: number): Promise<Outcome>;
  regMrIova2Async(
    pd: number,
    address: number,
    length: number,
    iova: number,
    access: number,
  ): Promise<Outcome>;
  deregMrAsync(mr: number): Promise<Outcome>;
  createCompChannel(context: number): number;
  destroyCompChannel(channel: number): number;
  createCq(context: number, entries: number, user: number, channel: number, vector: number): number;
  destroyCq(cq: number): number;
  getCqEvent(channel: number, cq: BigUint64Array, user: BigUint64Array): number;
  ackCqEvents(cq: number | bigint, count: number): void;
  createQp(pd: number, attributes: Buffer): number;
  modifyQp(qp: number, attributes: Buffer, mask: number): number;
  queryQp(qp: number, attributes: Buffer, mask: number, initial: Buffer): number;
  destroyQp(qp: number): number;
}

const SONAME = 'libibverbs.so.1';

let library: Library | undefined;

/**
 * libibverbs, loaded at the first call.
 * @throws RegcacheError `ERR_NO_LIBIBVERBS` if it is not installed
 */
export function libibverbs(): Library {
  return (library ??= loadLibrary(SONAME));
}

/** Load libibverbs under a name of one's own, e.g. a build of rdma-core that is not installed. */
export function loadLibrary(name: string): Library {
  return loadNative(name, bind, {
    code: 'ERR_NO_LIBIBVERBS',
    advice:
      'install it with its providers: Debian and Ubuntu packages libibverbs1 and ibverbs-providers, ' +
      'Fedora and RHEL libibverbs',
    release: 'rdma-core 32',
  });
}

function bind(lib: NativeLibrary): Library {
  const pointer = 'uintptr_t';
  const context = endsWithThread(lib, 'ibv_close_device');
  const pd = endsWithThread(lib, 'ibv_dealloc_pd');
  const mr = endsWithThread(lib, 'ibv_dereg_mr');
  const channel = endsWithThread(lib, 'ibv_destroy_comp_channel');
  const cq = endsWithThread(lib, 'ibv_destroy_cq');
  const qp = endsWithThread(lib, 'ibv_destroy_qp');
  const regMr = lib.func('ibv_reg_mr', pointer, [pointer, pointer, 'size_t', 'int']);
  const regMrIova2 = lib.func('ibv_reg_mr_iova2', pointer, [
    pointer,
    pointer,
    'size_t',
    'uint64_t',
    'unsigned int',
  ]);
  // `symbol` is resolved by dlsym, which gives the default version: IBVERBS_1.1 where a 1.0 exists as well.
  const bound: Library = {
    getDeviceList: lib.func('ibv_get_device_list', pointer, ['void *']),
    freeDeviceList: lib.func('ibv_free_device_list', 'void', [pointer]),
    getDeviceGuid: lib.func('ibv_get_device_guid', 'uint64_be_t', [pointer]),
    openDevice: context.begin(lib.func('ibv_open_device', pointer, [pointer])),
    closeDevice: context.end,
    queryDevice: lib.func('ibv_query_device', 'int', [pointer, 'void *']),
    queryPort: lib.func('ibv_query_port', 'int', [pointer, 'uint8_t', 'void *']),
    // The functions behind the inline ibv_query_gid_ex and ibv_query_gid_table.
    queryGid: lib.func('_ibv_query_gid_ex', 'int', [
      pointer,
      'uint32_t',
      'uint32_t',
      'void *',
      'uint32_t',
      'size_t',
    ]),
    queryGidTable: lib.func('_ibv_query_gid_table', 'intptr_t', [
      pointer,
      'void *',
      'size_t',
      'uint32_t',
      'size_t',
    ]),
    allocPd: pd.begin(lib.func('ibv_alloc_pd', pointer, [pointer])),
    deallocPd: pd.end,
    regMr: mr.begin(regMr),
    regMrIova2: mr.begin(regMrIova2),
    deregMr: mr.end,
    // A region that comes about while its thread ends goes with the context: ibv_close_device(3) closes the descriptor,
    // and the kernel lets go of all that was made through it.
    regMrAsync: mr.beginAsync(regMr),
    regMrIova2Async: mr.beginAsync(regMrIova2),
    deregMrAsync: mr.endAsync,
    createCompChannel: channel.begin(lib.func('ibv_create_comp_channel', pointer, [pointer])),
    destroyCompChannel: channel.end,
    createCq: cq.begin(lib.func('ibv_create_cq', pointer, [pointer, 'int', pointer, pointer, 'int'])),
    destroyCq: cq.end,
    getCqEvent: lib.func('ibv_get_cq_event', 'int', [pointer, 'void *', 'void *']),
    ackCqEvents: lib.func('ibv_ack_cq_events', 'void', [pointer, 'unsigned int']),
    createQp: qp.begin(lib.func('ibv_create_qp', pointer, [pointer, 'void *'])),
    modifyQp: lib.func('ibv_modify_qp', 'int', [pointer, 'void *', 'int']),
    queryQp: lib.func('ibv_query_qp', 'int', [pointer, 'void *', 'int', 'void *']),
    destroyQp: qp.end,
  };
  try {
    bound.isForkInitialized = lib.func('ibv_is_fork_initialized', 'int', []);
  } catch {
    // rdma-core before 35; such versions run on kernels where fork safety has to be asked for.
  }
  return bound;
}

/**
 * The error for a verbs call that returned `result`: a positive errno by contract, a negative one or -1 with errno
 * set from some providers. To be called right after the call that failed.
 */
export function verbsError(
  result: number,
  call: string,
  advice?: string,
  details?: ErrorDetails,
  errno = koffi.errno(),
): RegcacheError {
  return systemError(result === -1 || result === 0 ? errno : Math.abs(result), call, advice, details);
}

/** A 32-bit field of a structure that the library allocated. */
export const readUint32 = (address: number): number => koffi.decode.uint32(address);

/** A pointer inside a structure that the library allocated. */
export const readPointer = (address: number): number => Number(koffi.decode.uint64(address));

/** A NUL-terminated string inside a structure that the library allocated. */
export const readString = (address: number): string => koffi.decode.string(address);
