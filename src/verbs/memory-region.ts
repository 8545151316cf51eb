import koffi from 'koffi';
import { regcacheError } from '../errors.js';
import { checkAccess, OPTIONAL_ACCESS } from '../access.js';
import { LAYOUT } from './layout.js';
import { libibverbs, readUint32 } from './library.js';
import type { ProtectionDomain } from './protection-domain.js';
import { registrationError } from './registration-error.js';
import { Resource } from './resource.js';

/**
 * A range of memory that is pinned and visible to the device: an `ibv_mr`. It stays so, whatever happens to the
 * mapping, until `close()`. Made by `ProtectionDomain.register`.
 */
export class MemoryRegion extends Resource {
  /** First address, bytes. */
  readonly address: number;
  /** Bytes. */
  readonly length: number;
  /** Bits of `Access`. */
  readonly access: number;
  /** Key for scatter/gather segments of this side. */
  readonly lkey: number;
  /** Key for RDMA reads, writes and atomics of the peer. */
  readonly rkey: number;

  constructor(pd: ProtectionDomain, address: number, length: number, access: number) {
    const pointer = register(pd.pointer, address, length, access);
    super('memory region', pointer, 'ibv_dereg_mr', [pd]);
    this.address = address;
    this.length = length;
    this.access = access;
    this.lkey = readUint32(pointer + LAYOUT.ibv_mr.lkey);
    this.rkey = readUint32(pointer + LAYOUT.ibv_mr.rkey);
  }

  protected override destroy(pointer: number): number {
    return libibverbs().deregMr(pointer);
  }
}

function register(pd: number, address: number, length: number, access: number): number {
  if (!Number.isSafeInteger(address) || address < 0) {
    throw regcacheError('ERR_INVALID_ADDRESS', `${address} is not an address`);
  }
  if (!Number.isSafeInteger(length) || length <= 0) {
    throw regcacheError('ERR_INVALID_LENGTH', `cannot register ${length} bytes`, { address, length });
  }
  checkAccess(access);
  const library = libibverbs();
  // As the macro in verbs.h does: only the newer call lets a provider ignore optional bits it does not know.
  const pointer =
    (access & OPTIONAL_ACCESS) === 0
      ? library.regMr(pd, address, length, access)
      : library.regMrIova2(pd, address, length, address, access);
  if (pointer === 0) throw registrationError(koffi.errno(), address, length, access);
  return pointer;
}
