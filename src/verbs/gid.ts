import { regcacheError, shown } from '../errors.js';

/** How packets with a GID travel: `'RoCE v2'` is UDP/IP and routable, `'RoCE v1'` is plain Ethernet. */
export type GidType = 'InfiniBand' | 'RoCE v1' | 'RoCE v2';

/** One valid entry of a port's GID table. */
export interface GidEntry {
  /** 128-bit address as the kernel prints it: 8 groups of 4 hexadecimal digits. */
  gid: string;
  /** Position in the table of the port, from 0. */
  index: number;
  /** Port of the device, from 1. */
  port: number;
  type: GidType;
  /** Index of the network interface that the address belongs to; 0 for none. */
  interfaceIndex: number;
}

/** 16 bytes as text, e.g. `'0000:0000:0000:0000:0000:ffff:c000:0201'`. */
export function formatGid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex');
  return hex.replace(/(.{4})(?!$)/g, '$1:');
}

/**
 * The 16 bytes of a GID in text, as {@link formatGid} writes it.
 * @throws RegcacheError `ERR_INVALID_OPTION`
 */
export function parseGid(text: string): Buffer {
  if (typeof text !== 'string' || !/^([0-9a-f]{4}:){7}[0-9a-f]{4}$/i.test(text)) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      `${shown(text)} is not a GID of 8 groups of 4 hexadecimal digits`,
    );
  }
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

/**
 * The entry to use when the user named none: RoCE v2 before the others, and of those an IPv4 address first, then a
 * routable IPv6 address, a link-local one last.
 */
export function chooseGid(entries: readonly GidEntry[]): GidEntry | undefined {
  const rank = (entry: GidEntry): number => {
    const byType = entry.type === 'RoCE v2' ? 0 : 3;
    if (entry.gid.startsWith('0000:0000:0000:0000:0000:ffff:')) return byType;
    return byType + (entry.gid.startsWith('fe80:') ? 2 : 1);
  };
  return [...entries].sort((a, b) => rank(a) - rank(b) || a.index - b.index)[0];
}
