import { constants } from 'node:os';
import koffi from 'koffi';
import { describeErrno } from '../../../errors.js';
import { LIMITS } from '../../../monitor/userfaultfd.js';
import { close, errno, ioctl, O_CLOEXEC } from '../../../system/libc.js';
import { readText } from '../../kernel-files.js';
import type { Finding } from '../finding.js';

const SYS_USERFAULTFD = process.arch === 'arm64' ? 282 : 323;
/** linux/userfaultfd.h; with it an ordinary user needs no sysctl, from Linux 5.11 on. */
const UFFD_USER_MODE_ONLY = 1;
/** `_IOWR(0xAA, 0x3F, struct uffdio_api)`: u64 api, features, ioctls. */
const UFFDIO_API = 0xc018aa3f;
const UFFD_API = 0xaan;

/** What watching memory takes: write-protect mode without a fault to resolve, and word of changed mappings. */
const FEATURES = { 'write-protect': 1 << 0, remap: 1 << 2, remove: 1 << 3, unmap: 1 << 6 } as const;
const ALL = Object.values(FEATURES).reduce((bits, bit) => bits | bit, 0);

const syscall = koffi.load(null).func('long syscall(long number, long flags)') as (
  ...args: number[]
) => number;

/** Make the call that a monitor would make, and ask for the features that it needs. */
export function check(): Finding {
  const sysctl = readText('/proc/sys/vm/unprivileged_userfaultfd') ?? 'absent';
  const error = attempt();
  const facts = {
    available: error === 0,
    errno: error,
    unprivileged_userfaultfd: sysctl,
    features: Object.keys(FEATURES),
    limits: LIMITS,
  };
  const setting = `sysctl vm.unprivileged_userfaultfd is ${sysctl}`;
  if (error === 0)
    return {
      status: 'ok',
      text: `works for this user (${setting}); taken only when asked for by name, as it cannot see every change:`,
      more: LIMITS,
      facts,
    };
  return {
    status: 'ok',
    text: `refused: ${describeErrno(error).text} (${setting}); only the userfaultfd monitor needs it`,
    mend: MEND[error],
    facts,
  };
}

const MEND: Partial<Record<number, string>> = {
  [constants.errno.EPERM]:
    'a seccomp filter forbids it: in a container, run with a profile that allows userfaultfd',
  [constants.errno.ENOSYS]: 'use a kernel with CONFIG_USERFAULTFD',
  [constants.errno.EINVAL]: 'use Linux 5.11 or later',
};

/** 0, or the error number. */
function attempt(): number {
  const fd = syscall(SYS_USERFAULTFD, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (fd === -1) return errno();
  const argument = Buffer.alloc(24);
  argument.writeBigUInt64LE(UFFD_API, 0);
  argument.writeBigUInt64LE(BigInt(ALL), 8);
  const failed = ioctl(fd, UFFDIO_API, argument) === -1 ? errno() : 0;
  close(fd);
  return failed;
}
