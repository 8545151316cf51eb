import { regcacheError } from '../errors.js';
import { checkWhole, takeFields } from '../options.js';
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

/** The least and the most that each number may be. */
const RANGES = {
  qpNumber: [0, 0xff_ffff],
  psn: [0, 0xff_ffff],
  port: [1, 255],
  lid: [0, 0xffff],
  mtu: [256, 4096],
  readsAccepted: [0, 255],
  readsInitiated: [0, 255],
} as const;

/**
 * A copy with what is known of it here; a newer version may have sent more.
 * @throws RegcacheError `ERR_INVALID_OPTION` naming the first field that is wrong
 */
export function takeEndpoint(endpoint: QueuePairEndpoint): QueuePairEndpoint {
  const taken = takeFields(endpoint, [...Object.keys(RANGES), 'gid']);
  for (const [name, [least, most]] of Object.entries(RANGES))
    checkWhole(`${name} of the remote endpoint`, taken[name as keyof typeof RANGES], least, most);
  if (!Number.isInteger(Math.log2(taken.mtu))) {
    throw regcacheError('ERR_INVALID_OPTION', `${taken.mtu} is not an MTU of RDMA`);
  }
  if (taken.gid !== null) parseGid(taken.gid);
  return taken;
}
