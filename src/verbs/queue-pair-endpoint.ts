import { regcacheError } from '../errors.js';
import { parseGid } from './gid.js';

/**
 * What one side of a connection must know of the other; plain and fit for JSON. It comes over a network, so it is
 * checked before it is used.
 */
export interface QueuePairEndpoint {
  /** 24 bits. */
  qpNumber: number;
  /** First packet sequence number this side sends, 24 bits. */
  psn: number;
  /** Port of the device, from 1. */
  port: number;
  /** Local identifier in an InfiniBand subnet; 0 on Ethernet. */
  lid: number;
  /** 8 groups of 4 hexadecimal digits; null where the lid is enough. */
  gid: string | null;
  /** Bytes of payload in one packet: 256, 512, 1024, 2048 or 4096. Both sides use the smaller one. */
  mtu: number;
  /** RDMA reads and atomics that this side answers at once, 0 to 255. */
  readsAccepted: number;
  /** RDMA reads and atomics that this side has in flight at once, 0 to 255. */
  readsInitiated: number;
}

/** @throws RegcacheError `ERR_INVALID_OPTION` naming the first field that is wrong */
export function checkEndpoint(endpoint: QueuePairEndpoint): void {
  const limits = {
    qpNumber: [0, 0xff_ffff],
    psn: [0, 0xff_ffff],
    port: [1, 255],
    lid: [0, 0xffff],
    mtu: [256, 4096],
    readsAccepted: [0, 255],
    readsInitiated: [0, 255],
  } as const;
  for (const [name, [min, max]] of Object.entries(limits)) {
    const value: unknown = endpoint[name as keyof typeof limits];
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
      throw regcacheError(
        'ERR_INVALID_OPTION',
        `${name} of the remote endpoint must be a whole number from ${min} to ${max}, not ${String(value)}`,
      );
    }
  }
  if (!Number.isInteger(Math.log2(endpoint.mtu))) {
    throw regcacheError('ERR_INVALID_OPTION', `${endpoint.mtu} is not an MTU of RDMA`);
  }
  if (endpoint.gid !== null) parseGid(endpoint.gid);
}
