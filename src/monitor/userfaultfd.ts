import { readdirSync } from 'node:fs';
import { regcacheError, systemError, type RegcacheError } from '../errors.js';
import { E, errno, ioctl, MS_ASYNC, msync, PAGE_SIZE } from '../system/libc.js';
import { Board } from './board.js';
import { HelpedMonitor } from './helped-monitor.js';
import { type HelperOptions, helperOf } from './helper.js';
import { RANGE, UFFDIO_REGISTER, UFFDIO_REGISTER_MODE_WP, UFFDIO_UNREGISTER } from './userfaultfd-abi.js';

/** What this monitor does not see, or sees too late; native/monitor/README.md has the reasons. */
export const LIMITS: readonly string[] = [
  'Unmapping is reported when the address range is free again: where another thread maps and acquires the same ' +
    'addresses before that, it may be given the old registration. V8 frees ArrayBuffers in background threads, so a ' +
    'plain Node program can meet this.',
  'Dropped pages (MADV_DONTNEED and the like) are reported before they are dropped: memory that is acquired at that ' +
    'moment may be registered with the pages that are about to go.',
  'Holes punched into a file or memfd, and its truncation, are not reported, whoever makes them.',
  'A System V segment attached over watched memory (SHM_REMAP) is not reported.',
  'Private mappings of files and System V segments cannot be watched, nor can memory that another userfaultfd watches, ' +
    'such as that of another thread: it is registered anew for each acquire.',
  'A thread that changes the mapping of watched memory waits until another thread has read the event: tens of ' +
    'microseconds.',
  'Each watched range splits its mapping: vm.max_map_count limits how many there can be.',
];

export type UserfaultfdOptions = HelperOptions;

/**
 * Stock kernels' own answer to "did any of these mappings change?", for any user: a userfaultfd under which ranges
 * are registered, without protecting a page, for the sake of its events. Sees less than ummunotify: {@link LIMITS}.
 * One that is not closed ends with its worker thread.
 */
export class UserfaultfdMonitor extends HelpedMonitor {
  readonly kind = 'userfaultfd';
  readonly #memory: number;
  readonly #argument = Buffer.alloc(RANGE.SIZE);

  /**
   * @throws ERR_NO_MONITOR where the kernel has no userfaultfd that serves, ERR_MONITOR_ACCESS where the process may not
   *   use it, ERR_NO_HELPER without the C helper, or the system's error
   */
  constructor(options: UserfaultfdOptions = {}) {
    const helper = helperOf(options);
    const board = new Board(helper, 'regcache_userfaultfd', cannotOpen);
    super(board);
    this.#memory = board.more;
  }

  protected begin(start: number, end: number): { from: number; to: number } | undefined {
    for (const size of [PAGE_SIZE, ...hugePageSizes()]) {
      const from = start - (start % size);
      const to = Math.ceil(end / size) * size;
      const error = this.#control(UFFDIO_REGISTER, from, to);
      if (error === 0) {
        // What is not mapped is not watched either, and may have been mapped by now.
        if (msync(from, to - from, MS_ASYNC) === 0) return { from, to };
        this.end([[from, to]]);
        return undefined;
      }
      switch (error) {
        case E.EINVAL:
          // Memory of this kind cannot be watched; or it consists of huge pages, and only of whole ones.
          continue;
        case E.EBUSY:
        case E.EPERM:
          // Watched by another userfaultfd; a shared file that this process may not write to.
          return undefined;
        default:
          // It may have got through a part of the range.
          this.end([[from, to]]);
          throw systemError(error, 'UFFDIO_REGISTER', error === E.ENOMEM ? MAP_COUNT : undefined, {
            address: start,
            length: end - start,
          });
      }
    }
    return undefined;
  }

  protected end(ranges: readonly (readonly [start: number, end: number])[]): void {
    for (const [start, end] of ranges) {
      // What cannot be unregistered, for want of mappings, say, only goes on causing events.
      for (const [from, to] of this.watches.unneeded(start, end)) this.#control(UFFDIO_UNREGISTER, from, to);
    }
  }

  /** @returns the error number, or 0 */
  #control(request: number, start: number, end: number): number {
    const argument = this.#argument;
    argument.writeBigUInt64LE(BigInt(start), RANGE.START);
    argument.writeBigUInt64LE(BigInt(end - start), RANGE.LENGTH);
    argument.writeUInt32LE(UFFDIO_REGISTER_MODE_WP, RANGE.MODE);
    return ioctl(this.#memory, request, argument) === -1 ? errno() : 0;
  }
}

const MAP_COUNT =
  'each watched range splits its mapping; raise the limit (sudo sysctl vm.max_map_count=1048576) or lower those of ' +
  'the cache';

/** Steps of opening; native/monitor/userfaultfd.c. */
const SYSTEM_CALL = 1;
const HANDSHAKE = 2;

function cannotOpen(error: number, step: number): RegcacheError {
  const details = { errno: error, syscall: step === HANDSHAKE ? 'UFFDIO_API' : 'userfaultfd' };
  if (step === SYSTEM_CALL && error === E.EPERM) {
    return regcacheError(
      'ERR_MONITOR_ACCESS',
      'this process may not call userfaultfd(2), which the kernel allows every user in the way it is called here: a ' +
        'filter of the container forbids it; allow it in its seccomp profile (vm.unprivileged_userfaultfd need not be set)',
      details,
    );
  }
  if ((step === SYSTEM_CALL && (error === E.ENOSYS || error === E.EINVAL)) || step === HANDSHAKE) {
    const why =
      error === E.ENOSYS
        ? 'has no userfaultfd (CONFIG_USERFAULTFD)'
        : step === SYSTEM_CALL
          ? 'has no userfaultfd for every user (Linux 5.11)'
          : 'cannot watch by userfaultfd without handling faults (write protection: Linux 5.7 on x86-64, 6.10 on arm64)';
    return regcacheError('ERR_NO_MONITOR', `the kernel ${why}; use ummunotify, or a newer kernel`, details);
  }
  return systemError(error, step === SYSTEM_CALL ? 'userfaultfd' : 'open', undefined, {});
}

let hugePages: readonly number[] | undefined;

/** Bytes, rising. */
function hugePageSizes(): readonly number[] {
  hugePages ??= namesIn('/sys/kernel/mm/hugepages')
    .map((name) => Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]) * 1024)
    .filter((size) => size > PAGE_SIZE)
    .sort((a, b) => a - b);
  return hugePages;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
