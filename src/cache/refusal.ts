import { constants } from 'node:os';
import { describeErrno, RegcacheError, regcacheError } from '../errors.js';
import type { Statistics } from './statistics.js';

const { ENOMEM, EAGAIN, EFAULT, EMFILE, ENFILE, ENOSPC } = constants.errno;

/** How often a registration is made anew when its mapping changes meanwhile. */
export const ATTEMPTS = 8;

/** What to tell the application when that was not enough. */
export const unstable = (address: number, length: number): RegcacheError =>
  regcacheError(
    'ERR_MAPPING_UNSTABLE',
    `the memory was remapped during each of ${ATTEMPTS} attempts to register it; ` +
      'stop the other threads from changing its mapping while it is acquired',
    { address, length },
  );

/** Errors that idle registrations may be the cause of, negated as in `RegcacheError.errno`. */
const RESOURCE_ERRORS: ReadonlySet<number | undefined> = new Set(
  [ENOMEM, EAGAIN, EMFILE, ENFILE, ENOSPC].map((e) => -e),
);

/** Whether giving up an idle registration may help: the error is about a resource that runs out. */
export function frees(error: unknown): boolean {
  return (
    error instanceof RegcacheError && RESOURCE_ERRORS.has(error.errno) && error.code !== 'ERR_NOT_MAPPED'
  );
}

/** Whether the device found pages missing, or not such as it needs. */
export const lacksPages = (error: unknown): boolean =>
  error instanceof RegcacheError && error.errno === -EFAULT;

/**
 * What to tell the application when memory cannot be registered: what failed, the range, and the totals that may
 * explain it.
 * @param end exclusive
 */
export function refusal(error: unknown, start: number, end: number, totals: Statistics): unknown {
  if (!frees(error)) return error;
  const { errno = 0, syscall, code, message } = error as RegcacheError;
  const range = `${end - start} bytes from 0x${start.toString(16)} on`;
  const held = `${totals.registered} registrations pin ${totals.pinnedBytes} bytes and none of them is idle`;
  const details = { errno: -errno, address: start, length: end - start, cause: error };
  const called = syscall === undefined ? details : { ...details, syscall };
  if (code === 'ERR_MEMLOCK_LIMIT') {
    return regcacheError(
      code,
      `${message.replace(/^ERR_MEMLOCK_LIMIT: /, '')}; ${range} were asked for, ${held}`,
      called,
    );
  }
  const { name } = describeErrno(-errno);
  return regcacheError(
    'ERR_REGISTRATION_FAILED',
    `could not register ${range}: ${name}, ${syscall ?? 'register'}; ${held}. ` +
      'Release registrations, or raise the limit of locked memory (ulimit -l) or the limits of the device (max_mr)',
    called,
  );
}
