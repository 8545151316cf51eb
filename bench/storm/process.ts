// A program that changes the mappings of its cached buffers all the time, and what using one costs it then.
// `at-once PERCENT`: so many are remapped, and then all are used once; `in-between PERCENT`: remapped one by one,
// between the uses.
//
// node process.js WATCHER BUFFERS
import assert from 'node:assert/strict';
import { RegistrationCache } from '../../src/cache/cache.js';
import { MADV_POPULATE_WRITE, madvise } from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { answer } from '../answer.js';
import { openWatcher, type Watcher } from '../monitors.js';
import { openRegistrar } from '../registrar.js';
import { mapScattered, STRIDE } from '../small-pages.js';

export interface Storm {
  /** Microseconds to acquire and release a buffer. */
  readonly use: number;
  /** Microseconds to unmap one and map it again. */
  readonly remap: number;
  readonly invalidations: number;
  readonly drains: number;
}

const [watcher, asked] = process.argv.slice(2) as [Watcher, string];
const buffers = Number(asked);
/** Primes: multiples of one are an order of all the buffers that looks like none. */
const [USED, REMAPPED] = [7919, 104_729];

const memory = mapScattered(buffers, buffers);
const cache = new RegistrationCache({
  monitor: openWatcher(watcher),
  registrar: openRegistrar(),
  // What is done for stale ones is done where it is measured.
  eagerDrain: false,
  deregisterFor: Infinity,
});
const keeps = watcher !== 'none';
let first = 0;

const bufferAt = (i: number): number => memory + (i % buffers) * STRIDE;

function use(i: number): void {
  cache.acquireRange(bufferAt(i * USED), PAGE_SIZE).release();
}

/** Other ones each time. @returns milliseconds; the page that is there then is in place, and that is not counted */
function remap(i: number): number {
  const address = bufferAt((first + i) * REMAPPED);
  const before = performance.now();
  unmap(address, PAGE_SIZE);
  map(PAGE_SIZE, { at: address });
  const spent = performance.now() - before;
  assert.equal(madvise(address, PAGE_SIZE, MADV_POPULATE_WRITE), 0);
  return spent;
}

/** @param between how many are remapped before the use of that number */
function pass(percent: number, due: (used: number, total: number) => number): Storm {
  for (let i = 0; i < buffers; i++) use(i);
  const total = (buffers * percent) / 100;
  const before = cache.statistics();
  let remapped = 0;
  let remapping = 0;
  const start = performance.now();
  let notUse = 0;
  for (let i = 0; i < buffers; i++) {
    const goal = due(i, total);
    if (remapped < goal) {
      const from = performance.now();
      while (remapped < goal) remapping += remap(remapped++);
      notUse += performance.now() - from;
    }
    use(i);
  }
  const spent = performance.now() - start - notUse;
  first += total;
  cache.drain();
  const now = cache.statistics();
  const counted = (what: 'invalidations' | 'hits' | 'uncached' | 'acquires' | 'drains'): number =>
    now[what] - before[what];
  assert.equal(remapped, total);
  assert.equal(counted('acquires'), buffers);
  assert.equal(counted('uncached'), keeps ? 0 : buffers);
  checkReported(counted('invalidations'), total);
  return {
    use: (spent * 1000) / buffers,
    remap: (remapping * 1000) / total,
    invalidations: counted('invalidations'),
    // The last is not the program's.
    drains: counted('drains') - 1,
  };
}

function checkReported(invalidations: number, remapped: number): void {
  if (!keeps) assert.equal(invalidations, 0);
  else assert.ok(invalidations >= remapped, `of ${remapped} remapped ${invalidations} were reported`);
  // The helpers report all that they watch when more is remapped than they have room to remember.
  if (watcher === 'ummunotify' || watcher === 'without generations') assert.equal(invalidations, remapped);
}

await answer({
  'at-once': (percent) => pass(percent, (_used, total) => total),
  'in-between': (percent) => pass(percent, (used, total) => Math.floor(((used + 1) * total) / buffers)),
});
