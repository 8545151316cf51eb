import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { loadHelper } from '../../src/monitor/helper.js';
import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';
import type { DrainSink } from '../../src/monitor/monitor.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { cacheOnTop } from '../monitor/cache-on-top.js';
import { conformance, type Conforming } from '../monitor/conformance.js';
import { ending } from '../monitor/ending.js';
import { hasLibucm } from '../monitor/libucm.js';
import { PipeDevice } from '../monitor/pipe-device.js';
import { soakTest } from '../monitor/soak-test.js';
import { needs } from '../needs.js';
import { Zapper } from '../system/zapper-thread.js';
import { viewsOf } from '../../src/monitor/live-views.js';

const hooks: Conforming = { title: 'malloc-hooks', open: () => new MallocHooksMonitor(), hooks: true };

// They patch libc in the process that runs the tests, and break a call (mremap with MREMAP_FIXED): in a process apart.
describe('malloc hooks', () => {
  before(function () {
    needs(this, 'libucm', hasLibucm());
  });
  conformance(hooks);
  cacheOnTop(hooks, () => new PipeDevice());
  ending('malloc-hooks');
  soakTest('malloc-hooks', 5);

  it('is refused, and the heap left as it is, where the heap cannot grow', () => {
    const program = fileURLToPath(new URL('full-heap.js', import.meta.url));
    const { stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout), { code: 'ERR_NO_MONITOR', shrunk: 0 });
  });

  it('has put up what has moved the counter', async () => {
    const address = map(PAGE_SIZE);
    const zapper = new Zapper(address, PAGE_SIZE);
    await zapper.ready();
    // Between the two steps, were they the other way round, a drain would find nothing.
    using monitor = new MallocHooksMonitor({ helper: loadHelper(['-DBEFORE_COUNT=usleep(50000)']) });
    for (let round = 0; round < 5; round++) {
      monitor.watch(address, address + PAGE_SIZE, round);
      const seen: number[] = [];
      let drained = 0;
      const sink: DrainSink = {
        invalidated: (cookie) => {
          seen.push(cookie);
          monitor.unwatch(cookie);
        },
        drainedTo: (low) => {
          drained = low;
        },
      };
      monitor.drain(sink);
      zapper.start();
      const start = performance.now();
      while (seen.length === 0 && performance.now() - start < 5000) {
        if (Atomics.load(viewsOf(monitor).counter, 0) !== drained) monitor.drain(sink);
      }
      assert.deepEqual(seen, [round]);
      zapper.join();
    }
    await zapper.end();
    unmap(address, PAGE_SIZE);
  });

  it('waits for a slot that another thread has claimed and not filled', async () => {
    const address = map(2 * PAGE_SIZE);
    const zappers = [0, 1].map((n) => new Zapper(address + n * PAGE_SIZE, PAGE_SIZE));
    await Promise.all(zappers.map((zapper) => zapper.ready()));
    using monitor = new MallocHooksMonitor({
      helper: loadHelper(['-DBEFORE_FILL=usleep(20000 * (start / 4096 % 2))']),
    });
    for (let round = 0; round < 20; round++) {
      for (const n of [0, 1]) monitor.watch(address + n * PAGE_SIZE, address + (n + 1) * PAGE_SIZE, n);
      const seen: number[] = [];
      const sink: DrainSink = {
        invalidated: (cookie) => {
          seen.push(cookie);
          monitor.unwatch(cookie);
        },
        drainedTo: () => undefined,
      };
      for (const zapper of zappers) zapper.start();
      while (zappers.some((zapper) => zapper.isBusy())) monitor.drain(sink);
      monitor.drain(sink);
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        [0, 1],
        `round ${round}`,
      );
    }
    for (const zapper of zappers) await zapper.end();
    unmap(address, 2 * PAGE_SIZE);
  });
});
