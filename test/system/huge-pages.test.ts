import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { MADV_DONTNEED, madvise, MAP_ANONYMOUS, MAP_PRIVATE } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { watchedPages } from '../monitor/held.js';
import { needs } from '../needs.js';
import { requireStack } from './stack.js';

const SETTING = '/proc/sys/vm/nr_hugepages';
const MAP_HUGETLB = 0x40000;
const HUGE = 2 ** 21;

describe('userfaultfd: memory of huge pages', () => {
  requireStack();
  let setting: string;
  before(function () {
    needs(this, 'root');
    setting = readFileSync(SETTING, 'latin1');
    writeFileSync(SETTING, String(Number(setting) + 2));
    needs(this, 'huge pages', Number(readFileSync(SETTING, 'latin1')) >= Number(setting) + 2);
  });
  after(() => {
    writeFileSync(SETTING, setting);
  });

  it('is watched by whole huge pages, and reported by the pages asked for', () => {
    const address = map(2 * HUGE, { flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB });
    const page = (n: number): number => address + n * PAGE_SIZE;
    bytesAt(address, 2 * HUGE).fill(1);
    using monitor = new UserfaultfdMonitor();
    const hits: number[][] = [];
    const drain = (): void => {
      monitor.drain({
        invalidated: (...hit) => {
          hits.push(hit);
          monitor.unwatch(hit[0]);
        },
        drainedTo: () => undefined,
      });
    };
    assert.equal(monitor.watch(page(3), page(5), 1), true);
    assert.equal(monitor.watch(page(1), page(2), 2), true);
    assert.equal(monitor.watch(page(600), page(601), 3), true);
    assert.equal(watchedPages(), (2 * HUGE) / PAGE_SIZE);
    monitor.unwatch(2);
    assert.equal(watchedPages(), (2 * HUGE) / PAGE_SIZE);
    assert.equal(madvise(address, HUGE, MADV_DONTNEED), 0);
    drain();
    assert.deepEqual(hits, [[1, page(3), page(5)]]);
    assert.equal(watchedPages(), HUGE / PAGE_SIZE);
    unmap(address, 2 * HUGE);
    drain();
    assert.deepEqual(hits.slice(1), [[3, page(600), page(601)]]);
    assert.equal(watchedPages(), 0);
  });
});
