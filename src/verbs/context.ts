import { systemError } from '../errors.js';
import { CompletionQueue, type CompletionQueueOptions } from './completion-queue.js';
import type { Device } from './device.js';
import { formatGid, type GidEntry, type GidType } from './gid.js';
import { LAYOUT } from './layout.js';
import { libibverbs, verbsError } from './library.js';
import { mtuBytes } from './mtu.js';
import { operationsOf } from './operations.js';
import { ProtectionDomain } from './protection-domain.js';
import { MADE, pointerOf, requireMade, Resource } from './resource.js';
import { checkWhole } from '../options.js';

/** What the device can do at most (ibv_query_device(3)); a limit is no promise that so many can be had. */
export interface DeviceAttributes {
  firmware: string;
  vendorId: number;
  vendorPartId: number;
  hardwareVersion: number;
  /** Number of ports; they are numbered from 1. */
  ports: number;
  /** Memory regions. */
  maxMemoryRegions: number;
  /** Bytes in one memory region; at most 2^53 - 1 here, devices without a limit report 2^64 - 1. */
  maxMemoryRegionLength: number;
  maxMemoryWindows: number;
  maxProtectionDomains: number;
  maxQueuePairs: number;
  /** Outstanding work requests on one queue. */
  maxWorkRequests: number;
  /** Scatter/gather segments in one work request. */
  maxSegments: number;
  maxCompletionQueues: number;
  /** Entries in one completion queue. */
  maxCompletionQueueEntries: number;
  /** RDMA reads and atomics that one queue pair answers at once. */
  maxReadsAccepted: number;
  /** RDMA reads and atomics that one queue pair has in flight at once. */
  maxReadsInitiated: number;
  /** Atomics are atomic among users of this device, among all users of the memory, or not offered. */
  atomics: 'none' | 'device' | 'global';
}

export type PortState = 'no change' | 'down' | 'initializing' | 'armed' | 'active' | 'active deferred';
export type LinkLayer = 'unspecified' | 'InfiniBand' | 'Ethernet';

/** A port of a device (ibv_query_port(3)). */
export interface PortAttributes {
  /** From 1. */
  port: number;
  state: PortState;
  /** Bytes. */
  maxMtu: number;
  /** Bytes of payload in one packet: 256, 512, 1024, 2048 or 4096. */
  activeMtu: number;
  /** Bytes in one message. */
  maxMessageLength: number;
  /** Local identifier in an InfiniBand subnet; 0 on Ethernet. */
  lid: number;
  linkLayer: LinkLayer;
  /** Entries in the GID table, also the empty ones. */
  gidTableLength: number;
}

/** Whether memory registered here survives fork(2) (ibv_is_fork_initialized(3)). */
export type ForkStatus = 'disabled' | 'enabled' | 'unneeded' | 'unknown';

const PORT_STATES: readonly PortState[] = [
  'no change',
  'down',
  'initializing',
  'armed',
  'active',
  'active deferred',
];
const LINK_LAYERS: readonly LinkLayer[] = ['unspecified', 'InfiniBand', 'Ethernet'];
const GID_TYPES: readonly GidType[] = ['InfiniBand', 'RoCE v1', 'RoCE v2'];
const FORK_STATUS: readonly ForkStatus[] = ['disabled', 'enabled', 'unneeded'];

/** An open RDMA device: what all other objects are made from. Made by `openDevice`. */
export class Context extends Resource {
  readonly device: Device;

  /** @param pointer from ibv_open_device(3); closed again if this throws */
  constructor(made: typeof MADE, pointer: number, device: Device) {
    requireMade(made, 'device context');
    super(made, 'device context', {
      pointer,
      parents: [],
      destroyCall: 'ibv_close_device',
      destroy: (address) => libibverbs().closeDevice(address),
    });
    this.device = device;
    try {
      operationsOf(this);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @throws RegcacheError `ERR_CLOSED`, or the error of ibv_query_device(3) */
  queryDevice(): DeviceAttributes {
    const at = LAYOUT.ibv_device_attr;
    const attributes = Buffer.alloc(at.sizeof);
    const result = libibverbs().queryDevice(pointerOf(this, KIND), attributes);
    if (result !== 0) throw verbsError(result, 'ibv_query_device');
    const longest = attributes.readBigUInt64LE(at.max_mr_size);
    return {
      firmware: attributes.toString('latin1', at.fw_ver, attributes.indexOf(0, at.fw_ver)),
      vendorId: attributes.readUInt32LE(at.vendor_id),
      vendorPartId: attributes.readUInt32LE(at.vendor_part_id),
      hardwareVersion: attributes.readUInt32LE(at.hw_ver),
      ports: attributes.readUInt8(at.phys_port_cnt),
      maxMemoryRegions: attributes.readInt32LE(at.max_mr),
      maxMemoryRegionLength: Math.min(Number(longest), Number.MAX_SAFE_INTEGER),
      maxMemoryWindows: attributes.readInt32LE(at.max_mw),
      maxProtectionDomains: attributes.readInt32LE(at.max_pd),
      maxQueuePairs: attributes.readInt32LE(at.max_qp),
      maxWorkRequests: attributes.readInt32LE(at.max_qp_wr),
      maxSegments: attributes.readInt32LE(at.max_sge),
      maxCompletionQueues: attributes.readInt32LE(at.max_cq),
      maxCompletionQueueEntries: attributes.readInt32LE(at.max_cqe),
      maxReadsAccepted: attributes.readInt32LE(at.max_qp_rd_atom),
      maxReadsInitiated: attributes.readInt32LE(at.max_qp_init_rd_atom),
      atomics: (['none', 'device', 'global'] as const)[attributes.readUInt32LE(at.atomic_cap)] ?? 'none',
    };
  }

  /**
   * @param port from 1
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_query_port(3): `EINVAL` if there is no such port
   */
  queryPort(port = 1): PortAttributes {
    const at = LAYOUT.ibv_port_attr;
    const attributes = Buffer.alloc(at.sizeof);
    checkWhole('port', port, 0, 255);
    const result = libibverbs().queryPort(pointerOf(this, KIND), port, attributes);
    if (result !== 0) throw verbsError(result, 'ibv_query_port', `port ${port} of ${this.device.name}`);
    return {
      port,
      state: PORT_STATES[attributes.readUInt32LE(at.state)] ?? 'no change',
      maxMtu: mtuBytes(attributes.readUInt32LE(at.max_mtu)),
      activeMtu: mtuBytes(attributes.readUInt32LE(at.active_mtu)),
      maxMessageLength: attributes.readUInt32LE(at.max_msg_sz),
      lid: attributes.readUInt16LE(at.lid),
      linkLayer: LINK_LAYERS[attributes.readUInt8(at.link_layer)] ?? 'unspecified',
      gidTableLength: attributes.readInt32LE(at.gid_tbl_len),
    };
  }

  /**
   * One entry of the GID table.
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_query_gid_ex(3): `ENODATA` if the entry is empty
   */
  queryGid(port: number, index: number): GidEntry {
    const size = LAYOUT.ibv_gid_entry.sizeof;
    const entry = Buffer.alloc(size);
    checkWhole('port', port, 0, 255);
    checkWhole('index', index, 0, 0xffff_ffff);
    const result = libibverbs().queryGid(pointerOf(this, KIND), port, index, entry, 0, size);
    if (result !== 0) throw verbsError(result, 'ibv_query_gid_ex', `entry ${index} of port ${port}`);
    return gidEntry(entry);
  }

  /**
   * The valid entries of the GID tables of all ports, or of one.
   * @throws RegcacheError `ERR_CLOSED`, or the error of ibv_query_gid_table(3)
   */
  gidTable(port?: number): GidEntry[] {
    const size = LAYOUT.ibv_gid_entry.sizeof;
    const ports = Array.from({ length: this.queryDevice().ports }, (_, i) => this.queryPort(i + 1));
    const max = ports.reduce((sum, each) => sum + each.gidTableLength, 0);
    const entries = Buffer.alloc(Math.max(1, max) * size);
    const count = Number(libibverbs().queryGidTable(pointerOf(this, KIND), entries, max, 0, size));
    if (count < 0) throw systemError(-count, 'ibv_query_gid_table');
    return Array.from({ length: count }, (_, i) =>
      gidEntry(entries.subarray(i * size, (i + 1) * size)),
    ).filter((entry) => port === undefined || entry.port === port);
  }

  /** `'unneeded'` from Linux 5.12 on, where pinned pages are copied for the child. */
  get forkStatus(): ForkStatus {
    return FORK_STATUS[libibverbs().isForkInitialized?.() ?? -1] ?? 'unknown';
  }

  /** @throws RegcacheError `ERR_CLOSED`, or the error of ibv_alloc_pd(3) */
  createProtectionDomain(): ProtectionDomain {
    return new ProtectionDomain(this);
  }

  /** @throws RegcacheError `ERR_CLOSED`, `ERR_INVALID_OPTION`, or the error of ibv_create_cq(3) */
  createCompletionQueue(options?: CompletionQueueOptions): CompletionQueue {
    return new CompletionQueue(this, options);
  }
}

const KIND = 'device context';

function gidEntry(bytes: Buffer): GidEntry {
  const at = LAYOUT.ibv_gid_entry;
  return {
    gid: formatGid(bytes.subarray(at.gid, at.gid + 16)),
    index: bytes.readUInt32LE(at.gid_index),
    port: bytes.readUInt32LE(at.port_num),
    type: GID_TYPES[bytes.readUInt32LE(at.gid_type)] ?? 'InfiniBand',
    interfaceIndex: bytes.readUInt32LE(at.ndev_ifindex),
  };
}
