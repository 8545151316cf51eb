import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { cacheOnTop } from '../monitor/cache-on-top.js';
import { conformance, type Conforming } from '../monitor/conformance.js';
import { ending } from '../monitor/ending.js';
import { PipeDevice } from '../monitor/pipe-device.js';
import { userfaultfdOwn } from '../monitor/userfaultfd-own.js';

const userfaultfd: Conforming = { title: 'userfaultfd', open: () => new UserfaultfdMonitor() };

conformance(userfaultfd);
cacheOnTop(userfaultfd, () => new PipeDevice());
userfaultfdOwn();
ending('userfaultfd');
