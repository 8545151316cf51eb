import { openMonitor } from '../src/monitor/open.js';
import type { MemoryMonitor } from '../src/monitor/monitor.js';
import { Feature } from '../src/monitor/ummunotify-abi.js';
import { hasDevice } from '../native/vm/where.js';

/** As createCache opens it where a fork leaves pinned pages alone. */
const USUAL = Feature.GENERATION | Feature.BATCH | Feature.TRANSLATION;

const OPENERS = {
  none: () => openMonitor('none'),
  ummunotify: () => openMonitor('ummunotify', 'program', { features: USUAL }),
  'without generations': () =>
    openMonitor('ummunotify', 'program', { features: USUAL & ~Feature.GENERATION }),
  userfaultfd: () => openMonitor('userfaultfd'),
  'malloc-hooks': () => openMonitor('malloc-hooks'),
} satisfies Record<string, () => MemoryMonitor>;

/** The monitors that are compared, one of them with and without what it can do. */
export type Watcher = keyof typeof OPENERS;

export const openWatcher = (watcher: Watcher): MemoryMonitor => OPENERS[watcher]();

/** Those of them that this machine has: the driver is where the device is. */
export const onThisMachine = (watchers: readonly Watcher[]): Watcher[] =>
  watchers.filter((watcher) => hasDevice() || !['ummunotify', 'without generations'].includes(watcher));
