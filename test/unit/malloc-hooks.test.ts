import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';
import { cacheOnTop } from '../monitor/cache-on-top.js';
import { conformance, type Conforming } from '../monitor/conformance.js';
import { ending } from '../monitor/ending.js';
import { hasLibucm } from '../monitor/libucm.js';
import { PipeDevice } from '../monitor/pipe-device.js';
import { needs } from '../needs.js';

const hooks: Conforming = { title: 'malloc-hooks', open: () => new MallocHooksMonitor(), hooks: true };

describe('malloc hooks', () => {
  before(function () {
    needs(this, 'libucm', hasLibucm());
  });
  conformance(hooks);
  cacheOnTop(hooks, () => new PipeDevice());
  ending('malloc-hooks');
});
