import { accessSync, constants } from 'node:fs';
import koffi from 'koffi';
import { E } from '../system/libc.js';
import { regcacheError, shown, systemError } from '../errors.js';
import { Context } from './context.js';
import { LAYOUT } from './layout.js';
import { libibverbs, readPointer, readString, readUint32 } from './library.js';
import { MADE } from './resource.js';

/** An RDMA device as ibv_get_device_list(3) reports it, without opening it. */
export interface Device {
  /** The kernel's name, e.g. `'mlx5_0'`, `'rxe0'`. */
  name: string;
  /** Name of the character device under /dev/infiniband, e.g. `'uverbs0'`. */
  deviceFile: string;
  /** Node GUID as in ibv_devices(1): 16 hexadecimal digits. */
  guid: string;
  transport: Transport;
  nodeType: NodeType;
}

export type Transport = 'InfiniBand' | 'iWARP' | 'usNIC' | 'usNIC UDP' | 'unspecified' | 'unknown';
export type NodeType =
  'channel adapter' | 'switch' | 'router' | 'RNIC' | 'usNIC' | 'usNIC UDP' | 'unspecified' | 'unknown';

// enum ibv_transport_type and enum ibv_node_type of verbs.h; RoCE devices are of transport InfiniBand.
const TRANSPORTS: readonly Transport[] = ['InfiniBand', 'iWARP', 'usNIC', 'usNIC UDP', 'unspecified'];
const NODE_TYPES: readonly (NodeType | undefined)[] = [
  undefined,
  'channel adapter',
  'switch',
  'router',
  'RNIC',
  'usNIC',
  'usNIC UDP',
  'unspecified',
];

/**
 * The RDMA devices of this machine; empty when there is none, also when the kernel has no RDMA support loaded.
 * @throws RegcacheError `ERR_NO_LIBIBVERBS`, or the error of ibv_get_device_list(3)
 */
export function listDevices(): Device[] {
  return withDeviceList((pointers) => pointers.map(describe));
}

/**
 * Open a device.
 * @param name the device's name; the first device if none is given
 * @throws RegcacheError `ERR_NO_LIBIBVERBS`, `ERR_NO_RDMA_DEVICE`, `ERR_RDMA_ACCESS`, `ERR_INVALID_OPTION`, or the
 * error of ibv_open_device(3)
 */
export function openDevice(name?: string): Context {
  if (name !== undefined && typeof name !== 'string') {
    throw regcacheError('ERR_INVALID_OPTION', `the name of a device is a text, not ${shown(name)}`);
  }
  return withDeviceList((pointers) => {
    const pointer = pointers.find((each) => name === undefined || nameOf(each) === name);
    if (pointer === undefined) {
      const present = pointers.map(nameOf).join(', ');
      const missing = name === undefined ? 'there is no RDMA device' : `there is no RDMA device '${name}'`;
      const next =
        present === ''
          ? 'load its driver and ib_uverbs (see `rdma link`), or make a Soft-RoCE device: ' +
            '`modprobe rdma_rxe; rdma link add rxe0 type rxe netdev eth0`'
          : `there is ${present}`;
      throw regcacheError('ERR_NO_RDMA_DEVICE', missing, { advice: next });
    }
    const device = describe(pointer);
    const context = libibverbs().openDevice(pointer);
    if (context === 0) throw openError(koffi.errno(), device);
    // The list may be freed now: an open context keeps its device (ibv_get_device_list(3)).
    return new Context(MADE, context, device);
  });
}

function openError(errno: number, device: Device): Error {
  const path = `/dev/infiniband/${device.deviceFile}`;
  const details = { errno, syscall: 'ibv_open_device', path };
  // The library tries another path when this one is refused, and reports the errno of that one.
  const refused = accessRefused(path);
  if (refused === 'EACCES' || errno === E.EACCES || errno === E.EPERM) {
    return regcacheError('ERR_RDMA_ACCESS', `no permission to open ${path} for ${device.name}`, {
      ...details,
      advice:
        'give this user read and write access to it (usually by membership in the group rdma, or a udev rule)',
    });
  }
  const next =
    refused === 'ENOENT'
      ? `there is no ${path}; in a container, pass it in (--device ${path})`
      : `${device.name} (${path}) cannot be opened`;
  return systemError(errno, 'ibv_open_device', next, details);
}

function accessRefused(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

function withDeviceList<T>(use: (pointers: number[]) => T): T {
  const library = libibverbs();
  const count = Buffer.alloc(4);
  const list = library.getDeviceList(count);
  if (list === 0) {
    const errno = koffi.errno();
    // ENOSYS: the kernel has no RDMA support loaded (ibv_get_device_list(3)), so it has no device either.
    if (errno === E.ENOSYS) return use([]);
    throw systemError(errno, 'ibv_get_device_list');
  }
  try {
    return use(Array.from({ length: count.readInt32LE() }, (_, i) => readPointer(list + 8 * i)));
  } finally {
    library.freeDeviceList(list);
  }
}

const nameOf = (pointer: number): string => readString(pointer + LAYOUT.ibv_device.name);

function describe(pointer: number): Device {
  return {
    name: nameOf(pointer),
    deviceFile: readString(pointer + LAYOUT.ibv_device.dev_name),
    guid: libibverbs().getDeviceGuid(pointer).toString(16).padStart(16, '0'),
    transport: TRANSPORTS[readUint32(pointer + LAYOUT.ibv_device.transport_type)] ?? 'unknown',
    nodeType: NODE_TYPES[readUint32(pointer + LAYOUT.ibv_device.node_type)] ?? 'unknown',
  };
}
