import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { Feature } from '../../src/monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import { mapApart, unmapApart } from '../map-apart.js';
import type { Context } from '../../src/verbs/context.js';
import { openDevice } from '../../src/verbs/device.js';
import type { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import { IbverbsRegistrar } from '../../src/verbs/registrar.js';
import { needs } from '../needs.js';
import { RawDevice } from './raw-device.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';

const COUNT = 20;
const ALL = Feature.GENERATION | Feature.BATCH | Feature.TRANSLATION;

describe('extensions of the driver', () => {
  requireStack();
  pagesStay();

  let context: Context;
  let pd: ProtectionDomain;
  let memory: number;
  const page = (n: number): number => memory + 2 * n * PAGE_SIZE;

  before(function () {
    context = openDevice();
    pd = context.createProtectionDomain();
    needs(this, 'pages that stay with the parent in a fork', context.forkStatus === 'unneeded');
  });

  beforeEach(() => {
    memory = mapApart(2 * COUNT * PAGE_SIZE);
    bytesAt(memory, 2 * COUNT * PAGE_SIZE).fill(1);
  });

  afterEach(() => {
    unmapApart(memory, 2 * COUNT * PAGE_SIZE);
  });

  after(() => {
    pd.close();
    context.close();
  });

  /** A cache with COUNT idle registrations, on a monitor with these extensions. */
  function filled(features: number): RegistrationCache {
    const monitor = new UmmunotifyMonitor({ features });
    assert.equal(monitor.features, features, 'the driver offers them');
    const cache = new RegistrationCache({ monitor, registrar: new IbverbsRegistrar(pd), eagerDrain: false });
    acquireAll(cache);
    return cache;
  }

  function acquireAll(cache: RegistrationCache): void {
    for (let n = 0; n < COUNT; n++) cache.acquireRange(page(n), PAGE_SIZE).release();
  }

  /** How many registrations are still good after a child process was spawned. */
  function survivors(cache: RegistrationCache): number {
    assert.equal(spawnSync('true').status, 0);
    const { hits } = cache.statistics();
    acquireAll(cache);
    return cache.statistics().hits - hits;
  }

  it('translation only: all registrations survive a spawn, none without it', () => {
    using without = filled(Feature.GENERATION | Feature.BATCH);
    assert.equal(survivors(without), 0);
    using cache = filled(ALL);
    assert.equal(survivors(cache), COUNT);
  });

  it('generations: look-ups stay without a drain while other registered ranges are dropped', () => {
    const drainsWhileDropping = (cache: RegistrationCache): number => {
      const { drains } = cache.statistics();
      for (let n = 1; n < COUNT; n++) {
        assert.equal(madvise(page(n), PAGE_SIZE, MADV_DONTNEED), 0);
        cache.acquireRange(page(0), PAGE_SIZE).release();
      }
      return cache.statistics().drains - drains;
    };
    using without = filled(Feature.BATCH);
    assert.equal(drainsWhileDropping(without), COUNT - 1);
    using cache = filled(ALL);
    assert.equal(drainsWhileDropping(cache), 0);
    acquireAll(cache);
    assert.equal(cache.statistics().invalidations, COUNT - 1, 'and the dropped ones are found out');
  });

  it('batch: what a drain found is unregistered, together or one by one', () => {
    for (const features of [0, Feature.BATCH]) {
      using cache = filled(features);
      assert.equal(madvise(memory, 2 * COUNT * PAGE_SIZE, MADV_DONTNEED), 0);
      cache.drain();
      assert.equal(cache.statistics().registered, 0);
      acquireAll(cache);
      assert.equal(cache.statistics().registered, COUNT);
    }
  });

  it('are all in use when a cache is made for a protection domain', () => {
    using cache = createCache(pd);
    acquireAll(cache);
    assert.equal(survivors(cache), COUNT);
  });

  it('are granted only what was asked for with the tag', () => {
    for (const wanted of [0, 1, 2, 4, 8, 15]) {
      using device = new RawDevice();
      assert.deepEqual(device.exchange(0x554d0000 | wanted), { errno: 0, granted: 0x554d0000 | wanted });
    }
    using device = new RawDevice();
    assert.deepEqual(device.exchange(0x554dfff0), { errno: 0, granted: 0x554d0000 });
  });
});
