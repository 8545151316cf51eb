import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { cacheOnTop } from '../monitor/cache-on-top.js';
import { conformance, type Conforming } from '../monitor/conformance.js';
import { hasLibucm } from '../monitor/libucm.js';
import { userfaultfdOwn } from '../monitor/userfaultfd-own.js';
import { needs } from '../needs.js';
import { requireStack } from './stack.js';
import { VerbsDevice } from './verbs-device.js';

const MONITORS: readonly Conforming[] = [
  { title: 'ummunotify', open: () => new UmmunotifyMonitor() },
  { title: 'ummunotify without extensions', open: () => new UmmunotifyMonitor({ features: 0 }) },
  { title: 'userfaultfd', open: () => new UserfaultfdMonitor() },
];

describe('monitors, where there is a device', () => {
  requireStack();
  for (const monitor of MONITORS) {
    conformance(monitor);
    cacheOnTop(monitor, () => new VerbsDevice());
  }
  userfaultfdOwn();

  describe('with libucm', () => {
    before(function () {
      needs(this, 'libucm', hasLibucm());
    });
    const hooks = { title: 'malloc-hooks', open: () => new MallocHooksMonitor(), hooks: true };
    cacheOnTop(hooks, () => new VerbsDevice());
  });
});
