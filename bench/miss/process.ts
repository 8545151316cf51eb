// What making and ending registrations costs: `measure COUNT BYTES` answers with microseconds for each of so many.
//
// node process.js alone|cache|none|ummunotify|userfaultfd|malloc-hooks
import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { Registrar } from '../../src/cache/registrar.js';
import { prefault } from '../../src/memory/prefault.js';
import type { MemoryMonitor } from '../../src/monitor/monitor.js';
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE } from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { pinningLimit } from '../../src/verbs/registration-error.js';
import { answer } from '../answer.js';
import { nullMonitor, nullRegistrar } from '../hit/null.js';
import { openWatcher, type Watcher } from '../monitors.js';
import { openRegistrar } from '../registrar.js';
import { mapSmallPages } from '../small-pages.js';

/** Microseconds. */
export interface Miss {
  /** Have the pages put in place, that all are there already. */
  readonly prefault: number;
  readonly make: number;
  readonly end: number;
  /** To make them while the cache's tables grow, of the cache alone; otherwise 0. */
  readonly growing: number;
}

type Halves = Pick<Miss, 'make' | 'end'>;

const WARM_UPS = 2;
const WARM_UP = 5000;

const [subject] = process.argv.slice(2) as ['alone' | 'cache' | Watcher];
const pinned = (): number => pinningLimit().pinned;

/** Microseconds since some moment. */
type Clock = () => number;

const wallClock: Clock = () => performance.now() * 1000;

/** Of the process's CPU time, so that what else the machine does counts for less. */
const processorClock: Clock = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Microseconds for each of so many. */
function timeEach(count: number, act: () => void, clock: Clock = wallClock): number {
  const before = clock();
  act();
  return (clock() - before) / count;
}

/**
 * The cache's own part: nobody registers, nobody watches, and the memory is nothing but addresses. It begins a page
 * after a multiple of its size, so that looking up and noting down its pages takes longest, and the same each time.
 */
function measureCache(count: number, bytes: number): Miss {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const room = (count + 2) * bytes;
  const mapped = map(room + PAGE_SIZE, { prot: PROT_NONE, flags });
  const memory = Math.ceil(mapped / bytes) * bytes + PAGE_SIZE;
  const cache = openCache(nullMonitor(), nullRegistrar);
  // The memory of tables that nothing is in any more is given back.
  const kept = cache.acquireRange(mapped + room, PAGE_SIZE);
  const measure = (): Halves => measureMisses(cache, memory, count, bytes, 0, processorClock);
  const { make: growing } = measure();
  const halves = measure();
  kept[Symbol.dispose]();
  cache.close();
  unmap(mapped, room + PAGE_SIZE);
  return { prefault: 0, ...halves, growing };
}

function measureWithMemory(count: number, bytes: number, measure: (memory: number) => Halves): Miss {
  const memory = mapSmallPages(count * bytes);
  prefault(memory, count * bytes, true);
  const inPlace = timeEach(count, () => {
    for (let i = 0; i < count; i++) prefault(memory + i * bytes, bytes, true);
  });
  const before = pinned();
  const measured = measure(memory);
  assert.equal(pinned(), before, 'something stays pinned');
  unmap(memory, count * bytes);
  return { prefault: inPlace, ...measured, growing: 0 };
}

function measureAlone<Region>(
  registrar: Registrar<Region>,
  memory: number,
  count: number,
  bytes: number,
): Halves {
  const regions: Region[] = [];
  const before = pinned();
  const make = timeEach(count, () => {
    for (let i = 0; i < count; i++)
      regions.push(registrar.register(memory + i * bytes, bytes, Access.LOCAL_WRITE));
  });
  assert.equal(pinned() - before, count * bytes, 'not what was registered is pinned');
  const end = timeEach(count, () => {
    for (const region of regions) registrar.deregister(region);
  });
  return { make, end };
}

function openCache(monitor: MemoryMonitor, registrar: Registrar): RegistrationCache {
  return new RegistrationCache({
    monitor,
    registrar,
    eagerDrain: false,
    // All on the spot, where it is measured.
    deregisterOffThreadFrom: Infinity,
  });
}

/** All are acquired and then released; then there is no room for any, and those that were kept are evicted. */
function measureMisses(
  cache: RegistrationCache,
  memory: number,
  count: number,
  bytes: number,
  pins: number,
  clock: Clock,
): Halves {
  const before = cache.statistics();
  const { maxPinnedBytes } = cache.limits;
  const pinnedBefore = pinned();
  const registrations: Disposable[] = [];
  const makeAll = (): void => {
    for (let i = 0; i < count; i++) registrations.push(cache.acquireRange(memory + i * bytes, bytes));
  };
  const make = timeEach(count, makeAll, clock);
  assert.equal(pinned() - pinnedBefore, count * pins, 'not what was acquired is pinned');
  const endAll = (): void => {
    for (const registration of registrations) registration[Symbol.dispose]();
    cache.setLimits({ maxPinnedBytes: 1 });
  };
  const end = timeEach(count, endAll, clock);
  cache.setLimits({ maxPinnedBytes });
  const after = cache.statistics();
  const counted = ['hits', 'registrations', 'evictions', 'deregistrations'] as const;
  assert.deepEqual(
    counted.map((name) => after[name] - before[name]),
    [0, count, cache.monitor.kind === 'none' ? 0 : count, count],
  );
  assert.equal(after.registered, before.registered);
  return { make, end };
}

function measure(): (count: number, bytes: number) => Miss {
  if (subject === 'cache') return measureCache;
  const registrar = openRegistrar() as Registrar;
  if (subject === 'alone') {
    return (count, bytes) =>
      measureWithMemory(count, bytes, (memory) => measureAlone(registrar, memory, count, bytes));
  }
  return (count, bytes) =>
    measureWithMemory(count, bytes, (memory) => {
      const cache = openCache(openWatcher(subject), registrar);
      try {
        return measureMisses(cache, memory, count, bytes, bytes, wallClock);
      } finally {
        cache.close();
      }
    });
}

// Lets the compilers settle, for which the misses that follow may be too few.
for (let i = 0; i < WARM_UPS; i++) measureCache(WARM_UP, PAGE_SIZE);
await answer({ measure: measure() });
