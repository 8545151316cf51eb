import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { cacheOnTop } from '../monitor/cache-on-top.js';
import { conformance, type Conforming } from '../monitor/conformance.js';
import { ending } from '../monitor/ending.js';
import { PipeDevice } from '../monitor/pipe-device.js';
import { userfaultfdOwn } from '../monitor/userfaultfd-own.js';

const userfaultfd: Conforming = { title: 'userfaultfd', open: () => new UserfaultfdMonitor() };

conformance(userfaultfd);
cacheOnTop(userfaultfd, () => new PipeDevice());
userfaultfdOwn();

describe('userfaultfd: so many watches that the kernel has no room for their mappings', () => {
  it('says which limit it was when the kernel has no room for more mappings', function () {
    const most = Number(readFileSync('/proc/sys/vm/max_map_count', 'latin1'));
    if (most > 100_000) this.skip();
    using monitor = new UserfaultfdMonitor();
    const length = 3 * most * PAGE_SIZE;
    const large = map(length);
    try {
      assert.throws(
        () => {
          for (let n = 0; n < most; n++) {
            const start = large + 2 * n * PAGE_SIZE;
            monitor.watch(start, start + PAGE_SIZE, n);
          }
        },
        { code: 'ENOMEM', message: /max_map_count/ },
      );
    } finally {
      monitor.close();
      unmap(large, length);
    }
  });
});

ending('userfaultfd');
