import { regcacheError, systemError, type RegcacheError } from '../errors.js';
import { E } from '../system/libc.js';
import { Board } from './board.js';
import { HelpedMonitor } from './helped-monitor.js';
import { type HelperOptions, helperOf } from './helper.js';

/** What this monitor does not see, or sees too early; native/monitor/README.md has the reasons. */
export const LIMITS: readonly string[] = [
  'Mappings that are changed without libc are not reported: raw system calls (Go, static binaries), io_uring, ' +
    'process_madvise, other processes.',
  'The destination of mremap with MREMAP_FIXED, and MADV_DONTNEED_LOCKED, are not reported.',
  'Holes punched into a file or memfd, and its truncation, are not reported, whoever makes them.',
  'Changes are reported before they are made: memory that is acquired at that moment may be registered with the pages ' +
    'that are about to go.',
  'It patches the code of libc in the running process, for as long as that lives; libucm 1.13 breaks mremap with ' +
    'MREMAP_FIXED there.',
  'It cannot be opened in a process whose heap happens to have no room to grow.',
  'Every change of any mapping in the process is reported, also of memory that nobody watches.',
];

export type MallocHooksOptions = HelperOptions;

/**
 * Registration caches' usual way to hear of unmapping: UCX's libucm, which hooks libc's functions. For comparison, and
 * for those who ask for it: it misses much, see {@link LIMITS}. One that is not closed ends with its worker thread.
 */
export class MallocHooksMonitor extends HelpedMonitor {
  readonly kind = 'malloc-hooks';

  /**
   * @throws ERR_NO_MONITOR where libucm is not installed, cannot hook or would do damage, ERR_NO_HELPER without the C
   *   helper, or the system's error
   */
  constructor(options: MallocHooksOptions = {}) {
    super(new Board(helperOf(options), 'regcache_hooks', cannotOpen));
  }

  protected begin(start: number, end: number): { from: number; to: number } {
    return { from: start, to: end };
  }

  protected end(): void {
    // All of the process is watched, always.
  }
}

function cannotOpen(error: number): RegcacheError {
  if (error === E.ENOSYS) {
    return regcacheError(
      'ERR_NO_MONITOR',
      "UCX's libucm.so.0 and libucs.so.0 are not there: install them (sudo apt-get install libucx0)",
    );
  }
  if (error === E.EBUSY) {
    return regcacheError(
      'ERR_NO_MONITOR',
      'the heap of this process cannot grow, as something is mapped behind it, and libucm would cut off its last page',
      { advice: 'start the program again: where what is mapped is left to chance' },
    );
  }
  if (error === E.ENOTSUP) return regcacheError('ERR_NO_MONITOR', "UCX's libucm cannot hook this process");
  return systemError(error, 'ucm_set_event_handler');
}
