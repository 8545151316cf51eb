import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { cacheOnTop } from '../monitor/cache-on-top.js';
import { conformance, type Conforming } from '../monitor/conformance.js';
import { userfaultfdOwn } from '../monitor/userfaultfd-own.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { VerbsDevice } from './verbs-device.js';

const MONITORS: readonly Conforming[] = [
  { title: 'ummunotify', open: () => new UmmunotifyMonitor() },
  { title: 'ummunotify without extensions', open: () => new UmmunotifyMonitor({ features: 0 }) },
  { title: 'userfaultfd', open: () => new UserfaultfdMonitor() },
];

describe('monitors, where there is a device', () => {
  requireStack();
  pagesStay();
  for (const monitor of MONITORS) {
    conformance(monitor);
    cacheOnTop(monitor, () => new VerbsDevice());
  }
  userfaultfdOwn();
});
