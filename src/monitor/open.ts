import { regcacheError, RegcacheError } from '../errors.js';
import { given, type MonitorChoice, type MonitorKind, type MonitorName, type PassedOver } from './choice.js';
import { MallocHooksMonitor } from './malloc-hooks.js';
import type { MemoryMonitor } from './monitor.js';
import { NoMonitor } from './none.js';
import { UmmunotifyMonitor, type UmmunotifyOptions } from './ummunotify.js';
import { UserfaultfdMonitor } from './userfaultfd.js';

/** What is known of the machine and the program when a monitor is opened. */
export type MonitorSettings = UmmunotifyOptions;

type Opener = (settings: MonitorSettings) => MemoryMonitor;

/** How to open each kind; all throw RegcacheError when this machine does not have it. */
const OPENERS: Record<MonitorKind, Opener> = {
  ummunotify: (settings) => new UmmunotifyMonitor(settings),
  userfaultfd: () => new UserfaultfdMonitor(),
  'malloc-hooks': () => new MallocHooksMonitor(),
  none: () => new NoMonitor(),
};

/** What 'auto' tries, best first: these keep the promise, and the last is always there. */
const AUTOMATIC = ['ummunotify', 'none'] as const;

/** Choices of monitors that are shared by their later caches. */
const choices = new WeakMap<MemoryMonitor, MonitorChoice>();

/** How a monitor was chosen; one that was not chosen here was given by the program. */
export function choiceOf(monitor: MemoryMonitor): MonitorChoice {
  return choices.get(monitor) ?? given(monitor);
}

/**
 * Open the monitor of that name, or for 'auto' the best that keeps the promise.
 * @throws ERR_NO_MONITOR, ERR_MONITOR_ACCESS and the like for one that was asked for by name
 */
export function openMonitor(
  wanted: MonitorName,
  by: MonitorChoice['by'] = 'program',
  settings: MonitorSettings = {},
): MemoryMonitor {
  const passedOver: PassedOver[] = [];
  for (const kind of wanted === 'auto' ? AUTOMATIC : [wanted]) {
    try {
      const monitor = OPENERS[kind](settings);
      choices.set(monitor, { kind: monitor.kind, wanted, by, passedOver });
      return monitor;
    } catch (error) {
      if (wanted !== 'auto' || !(error instanceof RegcacheError)) throw error;
      passedOver.push(describe(kind, error));
    }
  }
  throw regcacheError('ERR_NO_MONITOR', 'no monitor can be had');
}

function describe(kind: MonitorKind, { code, reason, advice }: RegcacheError): PassedOver {
  return { kind, code, reason, advice: advice ?? 'npx rdma-regcache doctor looks into it' };
}
