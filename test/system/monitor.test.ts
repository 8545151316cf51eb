import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { DrainSink } from '../../src/monitor/monitor.js';
import { Feature } from '../../src/monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import { mapApart, unmapApart } from '../map-apart.js';
import { heldOf } from './held.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { viewsOf } from '../../src/monitor/live-views.js';
import { collectGarbage } from '../garbage.js';

const PAGES = 400;

const held = () => heldOf('/dev/ummunotify');
const mappings = (): number => readFileSync('/proc/self/maps', 'latin1').split('\n').length;

describe('monitor: ummunotify', () => {
  requireStack();
  pagesStay();

  let memory: number;
  const page = (n: number): number => memory + n * PAGE_SIZE;
  const zap = (first: number, pages = 1): void => {
    bytesAt(page(first), pages * PAGE_SIZE).fill(1);
    assert.equal(madvise(page(first), pages * PAGE_SIZE, MADV_DONTNEED), 0);
  };

  before(() => {
    memory = mapApart(PAGES * PAGE_SIZE);
  });

  after(() => {
    unmapApart(memory, PAGES * PAGE_SIZE);
  });

  /** A sink that stops watching what is reported, as the cache does. */
  function collector(monitor: UmmunotifyMonitor, afterEvent = (): void => undefined) {
    const seen: number[] = [];
    const drainedTo: number[] = [];
    const sink: DrainSink = {
      invalidated(cookie) {
        seen.push(cookie);
        monitor.unwatch(cookie);
        afterEvent();
      },
      drainedTo: (low) => drainedTo.push(low),
    };
    return { sink, seen, drainedTo };
  }

  for (const [name, features] of [
    ['the original interface', 0],
    ['all extensions', Feature.GENERATION | Feature.BATCH | Feature.TRANSLATION],
  ] as const) {
    describe(`with ${name}`, () => {
      it('drains to the value of LAST, not to where the counter has moved meanwhile', () => {
        using monitor = new UmmunotifyMonitor({ features });
        monitor.watch(page(0), page(1), 1, 1);
        monitor.watch(page(2), page(3), 2, 2);
        const first = collector(monitor, () => {
          zap(2);
        });
        zap(0);
        monitor.drain(first.sink);
        assert.deepEqual([first.seen, first.drainedTo, viewsOf(monitor).counter[0]], [[1], [1], 2]);
        const second = collector(monitor);
        monitor.drain(second.sink);
        assert.deepEqual([second.seen, second.drainedTo], [[2], [2]]);
      });

      it('reports all in one drain, also when they fill several reads', () => {
        using monitor = new UmmunotifyMonitor({ features });
        for (let n = 0; n < PAGES; n++) monitor.watch(page(n), page(n + 1), n, n);
        zap(0, PAGES);
        const { sink, seen, drainedTo } = collector(monitor);
        monitor.drain(sink);
        assert.deepEqual(
          seen.sort((a, b) => a - b),
          Array.from({ length: PAGES }, (_, n) => n),
        );
        assert.deepEqual(drainedTo, [1]);
      });

      it('has stopped watching, at the driver, what was unwatched in a drain', () => {
        using monitor = new UmmunotifyMonitor({ features });
        for (let n = 0; n < 10; n++) monitor.watch(page(n), page(n + 1), n, n);
        zap(0, 10);
        monitor.drain(collector(monitor).sink);
        zap(0, 10);
        assert.equal(viewsOf(monitor).counter[0], 1, 'nothing is watched, so nothing is counted');
        monitor.watch(page(0), page(1), 0, 0);
      });
    });
  }

  it('gives back its file and its mappings, and shows zero in views of them', () => {
    const before = held();
    const monitors = Array.from({ length: 20 }, () => new UmmunotifyMonitor());
    const views = monitors.map((monitor) => viewsOf(monitor).counter);
    assert.equal(held().files, before.files + 20);
    for (const monitor of monitors) {
      monitor.whenPending(() => undefined);
      monitor.close();
      monitor.close();
    }
    assert.deepEqual(held(), before);
    // A read through a view that somebody kept must not kill the process.
    assert.ok(views.every((view) => view[0] === 0));
    assert.throws(
      () => {
        monitors[0].unwatch(1);
      },
      { code: 'ERR_CLOSED' },
    );
  });

  it('keeps the addresses of a closed one only as long as somebody has a view of them', async () => {
    const open = new UmmunotifyMonitor();
    const first = new UmmunotifyMonitor();
    const kept = [viewsOf(first).counter, viewsOf(first).generations!];
    first.close();
    collectGarbage();
    const before = mappings();
    for (let n = 0; n < 1000; n++) new UmmunotifyMonitor().close();
    // 2000 more if they were kept; the heap of a large process has some that come and go.
    const areGone = (): boolean => mappings() < before + 200;
    // What is collected V8 unmaps in a thread of its own, which each collection waits for.
    for (let tries = 0; tries < 20 && !areGone(); tries++) {
      collectGarbage();
      await new Promise(setImmediate);
    }
    assert.ok(areGone(), `${mappings()} mappings, ${before} before`);
    assert.deepEqual(
      [...kept, viewsOf(open).counter, viewsOf(open).generations!].map((view) => view[0]),
      [0, 0, 0, 0],
    );
    open.close();
  });

  it('is not inherited by a program that is started', () => {
    using monitor = new UmmunotifyMonitor();
    assert.equal(viewsOf(monitor).counter[0], 0);
    const { stdout } = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    assert.ok(stdout.includes('->'));
    assert.ok(!stdout.includes('ummunotify'));
  });
});
