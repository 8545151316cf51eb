import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DrainSink, MemoryMonitor } from '../../src/monitor/monitor.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { mapApart, unmapApart } from '../map-apart.js';
import { Zapper } from '../system/zapper-thread.js';
import { CHANGES } from './changes.js';
import { Storm } from './storm.js';
import { viewsOf } from '../../src/monitor/live-views.js';

export interface Conforming {
  readonly title: string;
  readonly open: () => MemoryMonitor;
  /** Whether it sees only what goes through libc, and that of all memory. */
  readonly hooks?: boolean;
}

type Hit = [cookie: number, start: number, end: number];

/** Reported watches are unwatched, as the cache does, unless `keep` is set. */
class Collector implements DrainSink {
  hits: Hit[] = [];
  readonly to: [low: number, high: number][] = [];
  keep = false;
  afterEvent: ((cookie: number) => void) | undefined;

  constructor(readonly monitor: MemoryMonitor) {}

  invalidated(cookie: number, start: number, end: number): void {
    this.hits.push([cookie, start, end]);
    if (!this.keep) this.monitor.unwatch(cookie);
    this.afterEvent?.(cookie);
  }

  drainedTo(low: number, high: number): void {
    this.to.push([low, high]);
  }

  /** What is reported now. */
  drain(): Hit[] {
    this.hits = [];
    this.monitor.drain(this);
    return this.hits;
  }

  cookies(): number[] {
    return this.drain()
      .map(([cookie]) => cookie)
      .sort((a, b) => a - b);
  }
}

const valueOf = (monitor: MemoryMonitor): [number, number] => {
  const { counter } = viewsOf(monitor);
  for (;;) {
    const high = Atomics.load(counter, 1);
    const low = Atomics.load(counter, 0);
    if (high === Atomics.load(counter, 1)) return [low, high];
  }
};

/** Let the event loop run until something is so, for ten seconds at most. */
export async function until(isSo: () => boolean): Promise<void> {
  const start = performance.now();
  while (!isSo() && performance.now() - start < 10_000) await new Promise(setImmediate);
}

/** What every monitor promises; monitor.ts. */
export function conformance({ title, open, hooks = false }: Conforming): void {
  describe(`${title}: what every monitor promises`, () => {
    const PAGES = 64;
    let memory: number;
    let monitor: MemoryMonitor;
    let collector: Collector;
    const page = (n: number): number => memory + n * PAGE_SIZE;
    const watch = (first: number, end: number, cookie: number): void => {
      assert.equal(monitor.watch(page(first), page(end), cookie, cookie), true);
    };
    const zap = (first: number, pages = 1): void => {
      bytesAt(page(first), pages * PAGE_SIZE).fill(1);
      assert.equal(madvise(page(first), pages * PAGE_SIZE, MADV_DONTNEED), 0);
    };
    const remap = (first: number, pages = 1): void => {
      bytesAt(map(pages * PAGE_SIZE, { at: page(first), replace: true }), pages * PAGE_SIZE).fill(1);
    };

    beforeEach(() => {
      memory = mapApart(PAGES * PAGE_SIZE);
      bytesAt(memory, PAGES * PAGE_SIZE).fill(1);
      monitor = open();
      collector = new Collector(monitor);
    });
    afterEach(() => {
      monitor.close();
      unmapApart(memory, PAGES * PAGE_SIZE);
    });

    it('has nothing to report at first', () => {
      watch(0, 4, 1);
      assert.deepEqual(collector.drain(), []);
      if (!hooks) assert.deepEqual([collector.to, valueOf(monitor)], [[[0, 0]], [0, 0]]);
    });

    for (const [name, change] of Object.entries(CHANGES)) {
      if (hooks && change.kernelOnly) continue;
      it(`reports ${name}: the counter has moved when the call returns, and one drain tells it`, () => {
        const address = mapApart(4 * PAGE_SIZE, change.flags === undefined ? {} : { flags: change.flags });
        bytesAt(address, 4 * PAGE_SIZE).fill(1);
        const [first, end] = change.hit ?? [1, 2];
        assert.equal(monitor.watch(address, address + 4 * PAGE_SIZE, 7, 7), true);
        collector.drain();
        const before = valueOf(monitor);
        change.make(address);
        assert.notDeepEqual(valueOf(monitor), before);
        const [[cookie, start, stop], ...more] = collector.drain();
        assert.deepEqual([cookie, more], [7, []]);
        // At least that span: a call may be more than one event, or taken for more than it is.
        assert.ok(start <= address + first * PAGE_SIZE && stop >= address + end * PAGE_SIZE);
        if (!hooks) assert.deepEqual(collector.to.at(-1), valueOf(monitor));
        assert.deepEqual(collector.drain(), []);
        // The old place is watched anew like any other.
        if (change.unmaps) map(PAGE_SIZE, { at: address + PAGE_SIZE, replace: true });
        bytesAt(address + PAGE_SIZE, PAGE_SIZE).fill(1);
        assert.equal(monitor.watch(address + PAGE_SIZE, address + 2 * PAGE_SIZE, 8, 8), true);
        change.make(address);
        assert.deepEqual(collector.cookies(), [8]);
        unmapApart(address, 4 * PAGE_SIZE);
      });
    }

    it('reports what hit a part of a range, and no neighbours', () => {
      watch(0, 4, 1);
      watch(4, 8, 2);
      watch(8, 12, 3);
      zap(7);
      assert.deepEqual(collector.drain(), [[2, page(7), page(8)]]);
    });

    if (!hooks) {
      it('does not move for memory that nobody watches, nor for what was unwatched', () => {
        watch(0, 1, 1);
        watch(2, 3, 2);
        monitor.unwatch(2);
        zap(1, 3);
        remap(1, 3);
        assert.deepEqual(valueOf(monitor), [0, 0]);
        assert.deepEqual(collector.drain(), []);
      });
    }

    it('does not report what was unwatched while it was pending', () => {
      watch(0, 1, 1);
      watch(1, 2, 2);
      zap(0, 2);
      monitor.unwatch(1);
      assert.deepEqual(collector.cookies(), [2]);
    });

    it('reports a range once until it is drained, and then again', () => {
      watch(0, 2, 1);
      collector.keep = true;
      for (let round = 0; round < 3; round++) {
        zap(0);
        zap(1);
        zap(0);
        assert.deepEqual(collector.cookies(), [1], `round ${round}`);
        assert.deepEqual(collector.cookies(), []);
      }
    });

    it('takes a cookie once, and takes back only what was watched', () => {
      watch(0, 1, 1);
      assert.throws(() => monitor.watch(page(1), page(2), 1, 1), { code: 'EINVAL' });
      zap(1);
      assert.deepEqual(collector.cookies(), []);
      monitor.unwatch(1);
      assert.throws(
        () => {
          monitor.unwatch(1);
        },
        { code: 'EINVAL' },
      );
      watch(0, 1, 1);
      zap(0);
      assert.deepEqual(collector.cookies(), [1]);
    });

    it('keeps watching for one what another has let go of, where they overlap', () => {
      watch(0, 16, 1);
      watch(4, 8, 2);
      watch(6, 10, 3);
      watch(6, 10, 4);
      monitor.unwatch(2);
      zap(7);
      assert.deepEqual(collector.cookies(), [1, 3, 4]);
      watch(0, 16, 1);
      watch(4, 8, 2);
      monitor.unwatch(1);
      zap(5);
      zap(9);
      assert.deepEqual(collector.cookies(), [2]);
    });

    it('reports thousands of ranges that one call hits, in one drain', () => {
      const COUNT = 2000;
      const address = map(COUNT * PAGE_SIZE);
      for (let n = 0; n < COUNT; n++) {
        assert.equal(monitor.watch(address + n * PAGE_SIZE, address + (n + 1) * PAGE_SIZE, n, n), true);
      }
      unmap(address, COUNT * PAGE_SIZE);
      assert.deepEqual(
        collector.cookies(),
        Array.from({ length: COUNT }, (_, n) => n),
      );
    });

    it('loses nothing of more events than it has room for', () => {
      for (let n = 0; n < 32; n++) watch(n, n + 1, n);
      collector.keep = true;
      const zapOften = (): void => {
        for (let n = 0; n < 2200; n++) assert.equal(madvise(page(n % 2), PAGE_SIZE, MADV_DONTNEED), 0);
      };
      zapOften();
      zap(20);
      zapOften();
      const reported = collector.cookies();
      assert.ok([0, 1, 20].every((cookie) => reported.includes(cookie)));
      assert.equal(new Set(reported).size, reported.length);
      assert.deepEqual(collector.cookies(), []);
      zap(21);
      assert.deepEqual(collector.cookies(), [21]);
    });

    it('agrees with a model, whatever is watched, unwatched, dropped and mapped over', () => {
      const pages = fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: 12 }));
      const step = fc.tuple(fc.constantFrom('watch', 'watch', 'unwatch', 'zap', 'remap', 'drain'), pages);
      let cookie = 0;
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const watched = new Map<number, { first: number; end: number; hit: boolean }>();
          const check = (): void => {
            const expected = [...watched].filter(([, { hit }]) => hit).map(([one]) => one);
            assert.deepEqual(
              collector.cookies(),
              expected.sort((a, b) => a - b),
            );
            for (const one of expected) watched.delete(one);
          };
          for (const [what, [first, length]] of steps) {
            const end = Math.min(first + length, PAGES);
            if (what === 'drain') check();
            else if (what === 'watch') {
              watch(first, end, ++cookie);
              watched.set(cookie, { first, end, hit: false });
            } else if (what === 'unwatch') {
              const one = [...watched.keys()].at(first % Math.max(watched.size, 1));
              if (one === undefined) continue;
              monitor.unwatch(one);
              watched.delete(one);
            } else {
              if (what === 'zap') zap(first, end - first);
              else remap(first, end - first);
              for (const range of watched.values())
                if (range.first < end && range.end > first) range.hit = true;
            }
          }
          check();
          for (const one of watched.keys()) monitor.unwatch(one);
        }),
        { numRuns: 100 },
      );
    });

    describe('in a drain', () => {
      it('leaves what is hit meanwhile to the next', () => {
        watch(0, 1, 1);
        watch(2, 3, 2);
        collector.afterEvent = () => {
          collector.afterEvent = undefined;
          zap(2);
        };
        zap(0);
        assert.deepEqual(collector.cookies(), [1]);
        assert.notDeepEqual(collector.to.at(-1), valueOf(monitor));
        assert.deepEqual(collector.cookies(), [2]);
      });

      it('reports in no later drain what is unwatched there before its turn', () => {
        watch(0, 1, 1);
        watch(1, 2, 2);
        const seen: number[] = [];
        zap(0, 2);
        monitor.drain({
          invalidated: (cookie) => {
            seen.push(cookie);
            if (seen.length === 1) for (const one of [1, 2]) monitor.unwatch(one);
          },
          drainedTo: () => undefined,
        });
        assert.ok(seen.length > 0);
        assert.deepEqual(collector.cookies(), []);
      });

      it('takes new watches, and reports them only of what comes later', () => {
        watch(0, 1, 1);
        zap(0);
        collector.afterEvent = () => {
          collector.afterEvent = undefined;
          watch(0, 1, 11);
        };
        assert.deepEqual(collector.cookies(), [1]);
        assert.deepEqual(collector.cookies(), []);
        zap(0);
        assert.deepEqual(collector.cookies(), [11]);
      });
    });

    describe('with other threads', () => {
      it('has moved the counter when a thread that drops a page knows that it is done', async () => {
        const zapper = new Zapper(page(3), PAGE_SIZE);
        await zapper.ready();
        for (let round = 1; round <= 300; round++) {
          bytesAt(page(3), PAGE_SIZE).fill(1);
          watch(3, 4, round);
          collector.drain();
          const before = valueOf(monitor);
          zapper.start();
          zapper.join();
          assert.notDeepEqual(valueOf(monitor), before, `round ${round}`);
          assert.deepEqual(collector.cookies(), [round]);
        }
        await zapper.end();
      });

      it('drains to an end in a storm of changes, and has told all when it is over', async () => {
        const storm = new Storm(memory, PAGES);
        await storm.begun();
        let cookie = 0;
        let told = 0;
        for (let round = 0; round < 60; round++) {
          for (let n = 0; n < PAGES; n += 4) watch(n, n + 4, ++cookie);
          storm.awaitRounds(PAGES);
          told += collector.drain().length;
        }
        await storm.end();
        told += collector.drain().length;
        assert.ok(told > 60, `${told} reports of ${cookie}`);
        assert.deepEqual(collector.drain(), []);
        watch(0, 4, 0);
        zap(2);
        assert.ok(collector.cookies().includes(0));
      });

      it('lets threads go that are changing mappings while it is closed', async () => {
        const storm = new Storm(memory, PAGES);
        await storm.begun();
        for (let round = 0; round < 30; round++) {
          using one = open() as MemoryMonitor & Disposable;
          one.watch(page(0), page(PAGES), 1, 1);
          storm.awaitRounds(5);
        }
        storm.awaitRounds(300);
        await storm.end();
      });
    });

    it('calls back from the event loop while something is pending, until told not to', async () => {
      let calls = 0;
      const stop = monitor.whenPending!(() => {
        calls++;
        collector.drain();
      });
      watch(0, 2, 1);
      collector.drain();
      calls = 0;
      zap(0);
      assert.equal(calls, 0);
      await until(() => calls !== 0);
      assert.deepEqual(collector.hits, [[1, page(0), page(1)]]);
      watch(0, 2, 2);
      stop();
      calls = 0;
      zap(0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(calls, 0);
      assert.deepEqual(collector.cookies(), [2]);
    });

    it('may be closed twice, with events pending, and refuses to work afterwards', () => {
      const { counter } = viewsOf(monitor);
      watch(0, 2, 1);
      zap(0);
      monitor.close();
      monitor.close();
      assert.equal(counter[0], 0, 'a view that somebody kept must not kill the process');
      for (const use of [
        () => monitor.watch(page(0), page(1), 2, 2),
        () => {
          monitor.unwatch(1);
        },
        () => {
          monitor.drain(collector);
        },
        () => monitor.whenPending!(() => undefined),
      ]) {
        assert.throws(use, { code: 'ERR_CLOSED' });
      }
      zap(0);
      remap(0);
    });
  });
}
