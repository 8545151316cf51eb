import { constants } from 'node:os';
import { getSystemErrorMap, inspect } from 'node:util';

/**
 * Every code an error of this package can carry in `code`, with what it means. Failures of a system or library
 * call that have no better name carry the system's own name instead (`'ENOMEM'`, `'EIO'`, ...).
 */
export const ERROR_CODES = {
  ERR_NOT_MEMORY:
    'the value is not memory (a Buffer, typed array, DataView, ArrayBuffer or address + length)',
  ERR_INVALID_ADDRESS: 'the address is not a whole number in the user address space',
  ERR_INVALID_LENGTH: 'the length is zero, negative, not a whole number, or runs past the end of the memory',
  ERR_DETACHED_BUFFER: 'the ArrayBuffer was transferred or detached and has no memory any more',
  ERR_NOT_MAPPED: 'some of the addresses are not mapped in this process',
  ERR_READ_ONLY_MEMORY: 'write access was asked for memory that is mapped read-only',
  ERR_INVALID_ACCESS: 'the access rights are not a valid combination',
  ERR_INVALID_OPTION: 'an option is unknown or has a value that is not allowed',
  ERR_REGISTRATION_FAILED:
    'the device refused to register the memory, also after idle registrations were retired',
  ERR_MEMLOCK_LIMIT: 'the limit of locked memory (RLIMIT_MEMLOCK) is too low for the registration',
  ERR_MAPPING_UNSTABLE: 'the memory was remapped again and again while it was being registered',
  ERR_STALE_REGISTRATION:
    'a cached registration pins other pages than its addresses map to: a fault to report',
  ERR_DOUBLE_RELEASE: 'a registration was released more often than it was acquired',
  ERR_CLOSED: 'the object was closed before',
  ERR_BUSY: 'the object is still in use',
  ERR_NO_MONITOR: 'this machine does not have the monitor that was asked for, e.g. no /dev/ummunotify',
  ERR_MONITOR_ACCESS: 'no permission to open /dev/ummunotify',
  ERR_MONITOR_PROTOCOL: 'the device did not behave as its interface promises',
  ERR_NO_HELPER: 'the C helper that the monitor needs cannot be compiled or loaded',
  ERR_NO_LIBIBVERBS: 'libibverbs is not installed or cannot be loaded',
  ERR_NO_RDMA_DEVICE: 'there is no RDMA device, or none of the name asked for',
  ERR_RDMA_ACCESS: 'no permission to open the RDMA device',
  ERR_NO_LIBRDMACM: 'librdmacm is not installed or cannot be loaded',
  ERR_NO_PROM_CLIENT: 'prom-client, which the metrics are made with, is not installed or cannot be loaded',
  ERR_DISCONNECTED:
    'the connection ended before the operation was done; `cause` says what broke it, if anything did',
  ERR_WORK_COMPLETION: 'a work request failed; `status` says how',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Facts about a failure, in the shape of Node's own system errors. */
export interface ErrorDetails {
  /** Positive errno of the failed call; stored negated, as Node does. */
  errno?: number;
  /** The call that failed, e.g. `'ibv_reg_mr'`. */
  syscall?: string;
  /** First address of the memory concerned. */
  address?: number;
  /** Length in bytes of the memory concerned. */
  length?: number;
  /** The path concerned, e.g. `/dev/ummunotify`. */
  path?: string;
  /** Work completion status (`enum ibv_wc_status`). */
  status?: number;
  /** Work requests of a list that were posted before the one that was refused. */
  posted?: number;
  /** What the user can do about it; ends the message. */
  advice?: string;
  cause?: unknown;
}

/** The one error class of this package: a stable `code`, Node's system-error fields, a message that says what to do. */
export class RegcacheError extends Error {
  readonly code: string;
  readonly #reason: string;
  readonly #advice: string | undefined;
  /** Negative errno, as in Node's system errors. */
  declare readonly errno?: number;
  declare readonly syscall?: string;
  declare readonly address?: number;
  declare readonly length?: number;
  declare readonly path?: string;
  declare readonly status?: number;
  declare readonly posted?: number;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    const { advice } = details;
    const text = advice === undefined ? message : `${message}; ${advice}`;
    super(`${code}: ${text}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.#reason = message;
    this.#advice = advice;
    if (details.errno !== undefined) this.errno = -details.errno;
    if (details.syscall !== undefined) this.syscall = details.syscall;
    if (details.address !== undefined) this.address = details.address;
    if (details.length !== undefined) this.length = details.length;
    if (details.path !== undefined) this.path = details.path;
    if (details.status !== undefined) this.status = details.status;
    if (details.posted !== undefined) this.posted = details.posted;
  }

  /** What went wrong: the message without the code, and without the advice if that is told apart. */
  get reason(): string {
    return this.#reason;
  }

  /** What the user can do about it, if that is told apart. */
  get advice(): string | undefined {
    return this.#advice;
  }

  /** @internal The same, said of something that it was part of. */
  within(what: string): RegcacheError {
    const { errno, syscall, path, advice } = this;
    return new RegcacheError(this.code, `${what}: ${this.#reason}`, {
      ...(errno === undefined ? {} : { errno: -errno }),
      ...(syscall === undefined ? {} : { syscall }),
      ...(path === undefined ? {} : { path }),
      ...(advice === undefined ? {} : { advice }),
      cause: this,
    });
  }

  static {
    RegcacheError.prototype.name = 'RegcacheError';
  }
}

/** An error with one of the package's own codes. */
export function regcacheError(code: ErrorCode, message: string, details?: ErrorDetails): RegcacheError {
  return new RegcacheError(code, message, details);
}

/**
 * The error for a failed system or library call.
 * @param errno positive error number
 * @param syscall the call, e.g. `'ibv_create_qp'`
 * @param advice what the user can do about it
 */
export function systemError(
  errno: number,
  syscall: string,
  advice?: string,
  details: ErrorDetails = {},
): RegcacheError {
  const { name, text } = describeErrno(errno);
  const message = `${text}, ${syscall}${advice === undefined ? '' : `; ${advice}`}`;
  return new RegcacheError(name, message, { ...details, errno, syscall });
}

/** Name and text of a positive errno, e.g. `{ name: 'ENOMEM', text: 'not enough memory' }`. */
export function describeErrno(errno: number): { name: string; text: string } {
  const entry = getSystemErrorMap().get(-errno);
  if (entry) return { name: entry[0], text: entry[1] };
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
  return { name: name ?? `ERRNO_${errno}`, text: `error ${errno}` };
}

/** Characters of a value in a message. */
const SHOWN = 80;

/** A value that was refused, for a message. Of an object only what it is: to look into one may run code, which may throw. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = inspect(typeof value === 'string' ? value.slice(0, SHOWN) : value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
}
