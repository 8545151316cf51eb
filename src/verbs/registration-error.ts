import { readFileSync } from 'node:fs';
import { regcacheError, systemError, type RegcacheError } from '../errors.js';
import { E, PAGE_SIZE } from '../system/libc.js';
import { Access, describeAccess } from '../access.js';

/** What the kernel allows this process to pin, and what it has pinned. */
export interface PinningLimit {
  /** Soft limit RLIMIT_MEMLOCK in bytes; Infinity for unlimited. */
  limit: number;
  /** Bytes pinned now by RDMA and the like (`VmPin`). */
  pinned: number;
  /** CAP_IPC_LOCK in the initial user namespace: the limit does not apply. */
  exempt: boolean;
}

const CAP_IPC_LOCK = 1n << 14n; // linux/capability.h

/** Read the limit and the use of it from /proc/self. */
export function pinningLimit(
  limits: string = readProc('limits'),
  status: string = readProc('status'),
  uidMap: string = readProc('uid_map'),
): PinningLimit {
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  // capable() asks for the capability in the initial user namespace, the one that maps all ids to themselves.
  const initialNamespace = uidMap === '' || /^\s*0\s+0\s+4294967295\s*$/.test(uidMap);
  return {
    limit: soft === 'unlimited' ? Infinity : Number(soft),
    pinned: Number(/^VmPin:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024,
    exempt: initialNamespace && (BigInt(`0x${effective}`) & CAP_IPC_LOCK) !== 0n,
  };
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'latin1');
  } catch {
    return '';
  }
}

/**
 * The error for a refused registration; the errno is kept in all cases.
 *
 * The kernel says ENOMEM both when memory is short and when the pages pinned would exceed RLIMIT_MEMLOCK
 * (drivers/infiniband/core/umem.c, ib_umem_get): the limit is named when it explains the failure. It says EFAULT when
 * pages are missing or do not allow the access.
 */
export function registrationError(
  errno: number,
  address: number,
  length: number,
  access: number,
  read: () => PinningLimit = pinningLimit,
): RegcacheError {
  const details = { errno, syscall: 'ibv_reg_mr', address, length };
  const what = `${length} bytes at 0x${address.toString(16)} (${describeAccess(access)})`;
  // EPERM is what the kernel says to a limit of 0 (mm/mlock.c, can_do_mlock).
  if (errno === E.ENOMEM || errno === E.EPERM) {
    const { limit, pinned, exempt } = read();
    const pages = Math.ceil((length + (address % PAGE_SIZE)) / PAGE_SIZE);
    if (!exempt && pinned + pages * PAGE_SIZE > limit) {
      return regcacheError(
        'ERR_MEMLOCK_LIMIT',
        `cannot pin ${what}: ${pinned} bytes are pinned already and the limit is ${limit}; raise it with ` +
          '`ulimit -l unlimited`, "memlock unlimited" in /etc/security/limits.conf, or LimitMEMLOCK=infinity in the ' +
          'systemd unit',
        details,
      );
    }
  }
  if (errno === E.ENOMEM) {
    const why = 'too little memory, or the device has no room for another region or one so large';
    return systemError(errno, 'ibv_reg_mr', `cannot register ${what}: ${why}`, details);
  }
  if (errno === E.EFAULT) {
    const alternative = (access & Access.LOCAL_WRITE) === 0 ? '' : ', or are mapped read-only';
    return regcacheError(
      'ERR_NOT_MAPPED',
      `cannot register ${what}: some of its pages are not mapped${alternative}`,
      details,
    );
  }
  if (errno === E.EACCES || errno === E.EPERM) {
    return regcacheError('ERR_READ_ONLY_MEMORY', `cannot register ${what} for writing`, details);
  }
  return systemError(errno, 'ibv_reg_mr', `cannot register ${what}`, details);
}
