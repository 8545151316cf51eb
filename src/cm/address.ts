import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { RegcacheError } from '../errors.js';
import { LAYOUT, VALUES } from './layout.js';

/**
 * A `struct sockaddr` for the first address of a host.
 * @param host name, or IPv4 or IPv6 address
 * @throws RegcacheError with the resolver's code, e.g. `ENOTFOUND`
 */
export async function resolveHost(host: string, port: number): Promise<Buffer> {
  let found: { address: string; family: number };
  try {
    found = await lookup(host);
  } catch (cause) {
    const { code = 'ENOTFOUND', message } = cause as NodeJS.ErrnoException;
    throw new RegcacheError(code, `the host ${host} has no address: ${message}`, {
      syscall: 'getaddrinfo',
      cause,
    });
  }
  return socketAddress(found.address, found.family, port);
}

/**
 * A `struct sockaddr_in` or `sockaddr_in6`.
 * @param family 4 or 6
 */
export function socketAddress(address: string, family: number, port: number): Buffer {
  if (family === 4) {
    const at = LAYOUT.sockaddr_in;
    const bytes = Buffer.alloc(at.sizeof);
    bytes.writeUInt16LE(VALUES.AF_INET, at.sin_family);
    bytes.writeUInt16BE(port, at.sin_port);
    bytes.set(address.split('.').map(Number), at.sin_addr);
    return bytes;
  }
  const [number, zone] = address.split('%') as [string, string | undefined];
  const at = LAYOUT.sockaddr_in6;
  const bytes = Buffer.alloc(at.sizeof);
  bytes.writeUInt16LE(VALUES.AF_INET6, at.sin6_family);
  bytes.writeUInt16BE(port, at.sin6_port);
  groupsOf(number).forEach((group, index) => bytes.writeUInt16BE(group, at.sin6_addr + 2 * index));
  if (zone !== undefined) bytes.writeUInt32LE(scopeOf(zone), at.sin6_scope_id);
  return bytes;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // As a URL has it: lower case, and no IPv4 address at its end.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before, after] = [...plain.split('::'), ''].map((side) =>
    side === '' ? [] : side.split(':').map((group) => parseInt(group, 16)),
  );
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** Number of a network interface. */
function scopeOf(zone: string): number {
  const known = networkInterfaces()[zone]?.find(({ family }) => family === 'IPv6');
  return known?.family === 'IPv6' ? known.scopeid : Number(zone) || 0;
}
