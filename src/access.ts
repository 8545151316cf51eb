import { regcacheError, shown } from './errors.js';

/** What a memory region may be used for, as bits (ibv_reg_mr(3)); local reading is always allowed. */
export const Access = {
  /** Local reading only: what a send or an RDMA write needs, and all that read-only memory allows. */
  NONE: 0,
  /** The device may write into the memory on behalf of this process: receives, results of RDMA reads and atomics. */
  LOCAL_WRITE: 1 << 0,
  /** A peer that knows the rkey may write; needs LOCAL_WRITE too. */
  REMOTE_WRITE: 1 << 1,
  /** A peer that knows the rkey may read. */
  REMOTE_READ: 1 << 2,
  /** A peer that knows the rkey may do atomics; needs LOCAL_WRITE too. */
  REMOTE_ATOMIC: 1 << 3,
  /** Memory windows may be bound to the region. */
  MW_BIND: 1 << 4,
  /** Offsets from the start of the region stand in for addresses. */
  ZERO_BASED: 1 << 5,
  /** Nothing is pinned, the device faults pages in (on-demand paging, if it can). */
  ON_DEMAND: 1 << 6,
  /** The memory is made of huge pages; only together with ON_DEMAND. */
  HUGETLB: 1 << 7,
  /** PCIe writes may arrive in any order: faster on some machines. Optional: devices that cannot do it ignore it. */
  RELAXED_ORDERING: 1 << 20,
} as const;

/** The rights that let a peer in. */
export const REMOTE_ACCESS = Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC | Access.MW_BIND;

/** Bits a provider may ignore (IBV_ACCESS_OPTIONAL_RANGE of verbs.h); the others it must honour or refuse. */
export const OPTIONAL_ACCESS = 0x3ff00000;

const KNOWN = Object.values(Access).reduce((all, bit) => all | bit, 0) | OPTIONAL_ACCESS;

/**
 * Refuse rights that no device grants: a remote writer where the device itself may not write (ibv_reg_mr(3)).
 * @throws RegcacheError `ERR_INVALID_ACCESS`
 */
export function checkAccess(access: number): void {
  // More than 31 bits would be cut off by the operators.
  if (!Number.isInteger(access) || access < 0 || access > 0x7fff_ffff || (access & ~KNOWN) !== 0) {
    throw regcacheError('ERR_INVALID_ACCESS', `${shown(access)} is not a combination of Access bits`);
  }
  const remoteWriter = access & (Access.REMOTE_WRITE | Access.REMOTE_ATOMIC);
  if (remoteWriter !== 0 && (access & Access.LOCAL_WRITE) === 0) {
    throw regcacheError(
      'ERR_INVALID_ACCESS',
      `${describeAccess(access)}: REMOTE_WRITE and REMOTE_ATOMIC need LOCAL_WRITE as well`,
    );
  }
}

/** The names of the bits, e.g. `'LOCAL_WRITE|REMOTE_READ'`. */
export function describeAccess(access: number): string {
  const names = Object.entries(Access).filter(([, bit]) => (access & bit) !== 0);
  return names.length === 0 ? 'local read' : names.map(([name]) => name).join('|');
}
