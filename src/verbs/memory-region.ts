import koffi from 'koffi';
import { regcacheError, shown } from '../errors.js';
import { checkAccess, OPTIONAL_ACCESS } from '../access.js';
import { LAYOUT } from './layout.js';
import { libibverbs, readUint32 } from './library.js';
import type { ProtectionDomain } from './protection-domain.js';
import { registrationError } from './registration-error.js';
import { busyWith, closeBy, MADE, pointerOf, requireMade, Resource } from './resource.js';

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

  /** @param pointer from ibv_reg_mr(3), for this range and these rights */
  private constructor(
    made: typeof MADE,
    pd: ProtectionDomain,
    pointer: number,
    address: number,
    length: number,
    access: number,
  ) {
    requireMade(made, 'memory region');
    super(made, 'memory region', {
      pointer,
      parents: [pd],
      destroyCall: 'ibv_dereg_mr',
      destroy: (address) => libibverbs().deregMr(address),
    });
    this.address = address;
    this.length = length;
    this.access = access;
    this.lkey = readUint32(pointer + LAYOUT.ibv_mr.lkey);
    this.rkey = readUint32(pointer + LAYOUT.ibv_mr.rkey);
  }

  /** See `ProtectionDomain.register`. */
  static register(pd: ProtectionDomain, address: number, length: number, access: number): MemoryRegion {
    const parent = pointerOf(pd, 'protection domain');
    check(address, length, access);
    const library = libibverbs();
    // As the macro in verbs.h does: only the newer call lets a provider ignore optional bits it does not know.
    const pointer =
      (access & OPTIONAL_ACCESS) === 0
        ? library.regMr(parent, address, length, access)
        : library.regMrIova2(parent, address, length, address, access);
    if (pointer === 0) throw registrationError(koffi.errno(), address, length, access);
    return new MemoryRegion(MADE, pd, pointer, address, length, access);
  }

  /** See `ProtectionDomain.registerAsync`. */
  static async registerAsync(
    pd: ProtectionDomain,
    address: number,
    length: number,
    access: number,
  ): Promise<MemoryRegion> {
    const parent = pointerOf(pd, 'protection domain');
    check(address, length, access);
    const library = libibverbs();
    const { result, errno } = await busyWith(pd, () =>
      (access & OPTIONAL_ACCESS) === 0
        ? library.regMrAsync(parent, address, length, access)
        : library.regMrIova2Async(parent, address, length, address, access),
    );
    if (result === 0) throw registrationError(errno, address, length, access);
    return new MemoryRegion(MADE, pd, result, address, length, access);
  }

  /**
   * Close it on another thread: the event loop goes on. It is open and busy until then.
   * @throws what `close()` throws
   */
  closeAsync(): Promise<void> {
    return closeBy(this, 'memory region', (pointer) => libibverbs().deregMrAsync(pointer));
  }
}

/** @throws RegcacheError for what is no range or no set of rights */
function check(address: number, length: number, access: number): void {
  if (!Number.isSafeInteger(address) || address < 0) {
    throw regcacheError('ERR_INVALID_ADDRESS', `${shown(address)} is not an address`);
  }
  if (!Number.isSafeInteger(length) || length <= 0) {
    throw regcacheError('ERR_INVALID_LENGTH', `cannot register ${shown(length)} bytes`, { address });
  }
  checkAccess(access);
}
