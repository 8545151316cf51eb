import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { RegistrationCache } from '../../src/cache/cache.js';
import { Feature } from '../../src/monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { madvise, mprotect, PROT_NONE, PROT_READ, PROT_WRITE } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { IbverbsRegistrar } from '../../src/verbs/registrar.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { completions, connectedPair, type Side } from '../system/verbs-fixture.js';
import { END, GO, ROUNDS, type WandererData } from './wanderer.js';

const NODES = '/sys/devices/system/node';
const TUNING = '/sys/kernel/debug/sched/numa_balancing';
const BALANCING = '/proc/sys/kernel/numa_balancing';
/** Often, but not so often that an emulated processor does nothing else. */
const EAGER = {
  scan_delay_ms: '50',
  scan_period_min_ms: '200',
  scan_period_max_ms: '1000',
  scan_size_mb: '256',
};
const COUNT = Number(process.env['REGCACHE_NUMA_RANGES'] ?? 500);
/** That a busy machine may take, at most. */
const SECONDS = 150;
const PROT_EXEC = 4;
const MADV_NOHUGEPAGE = 15;
const HUGE_PAGE_SIZE = 2 * 1024 * 1024;

/**
 * A mapping that begins in the middle of what could be a huge page. When mprotect() splits a mapping, the kernel reports
 * the whole of a huge page around the place as CLEAR, there or not, if it would lie inside the mapping
 * (split_huge_pmd_if_needed, mm/huge_memory.c): the registrations in it go, as they have to. What is mapped around it
 * keeps others out: a thread's stack just below would become one mapping with it, as it has no huge pages either
 * (MAP_STACK, from Linux 6.7 on), and then the huge page does lie inside.
 */
function mapBetweenHugePages(length: number): { reserved: number; start: number; size: number } {
  const size = length + 2 * HUGE_PAGE_SIZE;
  const reserved = map(size, { prot: PROT_NONE });
  const start = Math.ceil(reserved / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE + HUGE_PAGE_SIZE / 2;
  map(length, { at: start, replace: true });
  return { reserved, start, size };
}

/** The first processor of each node. */
function nodeCpus(): number[] {
  const nodes = existsSync(NODES) ? readdirSync(NODES).filter((name) => /^node\d+$/.test(name)) : [];
  return nodes
    .map((name) => readFileSync(`${NODES}/${name}/cpulist`, 'utf8').trim())
    .filter((list) => list !== '')
    .map((list) => Number.parseInt(list, 10));
}

/** How many page table entries NUMA balancing has changed, and how many pages it has moved. */
function balanced(): { updates: number; migrated: number } {
  const text = readFileSync('/proc/vmstat', 'utf8');
  const value = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  return { updates: value('numa_pte_updates'), migrated: value('numa_pages_migrated') };
}

describe('automatic NUMA balancing', function () {
  requireStack();
  this.timeout(480_000);

  const length = 2 * COUNT * PAGE_SIZE;
  const page = (n: number): number => memory + 2 * n * PAGE_SIZE;
  const saved = new Map<string, string>();
  let memory = 0;
  let reserved = 0;
  let size = 0;
  let pair: { a: Side; b: Side; [Symbol.dispose](): void };

  before(function () {
    needs(this, 'root');
    needs(this, 'two NUMA nodes', nodeCpus().length > 1);
    needs(this, 'NUMA balancing', existsSync(BALANCING) && existsSync(TUNING));
    set(BALANCING, '0');
    for (const [name, value] of Object.entries(EAGER)) set(`${TUNING}/${name}`, value);
    pair = connectedPair();
    needs(this, 'pages that stay with the parent in a fork', pair.a.context.forkStatus === 'unneeded');
    // Every second page is registered: the others are there to be moved, and in the same mapping.
    ({ reserved, start: memory, size } = mapBetweenHugePages(length));
    // A pinned huge page is not skipped: each vain attempt to move it is reported, and rightly, as CLEAR.
    assert.equal(madvise(memory, length, MADV_NOHUGEPAGE), 0);
    bytesAt(memory, length).fill(1);
  });

  after(() => {
    for (const [file, value] of [...saved].reverse()) writeFileSync(file, value);
    if (memory === 0) return;
    unmap(reserved, size);
    pair[Symbol.dispose]();
  });

  function set(file: string, value: string): void {
    saved.set(file, readFileSync(file, 'utf8').trim());
    writeFileSync(file, value);
  }

  function filled(features: number): RegistrationCache {
    const monitor = new UmmunotifyMonitor({ features });
    assert.equal(monitor.features, features, 'the driver offers them');
    const registrar = new IbverbsRegistrar(pair.a.pd);
    const cache = new RegistrationCache({ monitor, registrar, eagerDrain: false });
    for (let n = 0; n < COUNT; n++) cache.acquireRange(page(n), PAGE_SIZE).release();
    return cache;
  }

  /** Touch the memory from one node and then from another, until enough is seen of it. */
  async function wander(enough: () => boolean): Promise<number> {
    const cpus = nodeCpus();
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const workers = [cpus, cpus.toReversed()].map((order) => {
      const workerData: WandererData = { address: memory, length, cpus: order, shared };
      return new Worker(new URL('./wanderer.js', import.meta.url), { workerData });
    });
    await Promise.all(workers.map((worker) => once(worker, 'online')));
    Atomics.store(shared, GO, 1);
    Atomics.notify(shared, GO);
    const deadline = performance.now() + SECONDS * 1000;
    try {
      while ((!enough() || Atomics.load(shared, ROUNDS) < 10) && performance.now() < deadline)
        await sleep(100);
    } finally {
      // Else they would touch the memory after it is gone.
      const ends = workers.map((worker) => once(worker, 'exit'));
      Atomics.store(shared, GO, END);
      await Promise.all(ends);
    }
    return Atomics.load(shared, ROUNDS);
  }

  /** Send fresh bytes with each registration; what arrives must be they. */
  async function assertFresh(cache: RegistrationCache): Promise<void> {
    const target = pair.b.memory(PAGE_SIZE);
    for (let n = 0; n < COUNT; n++) {
      const bytes = bytesAt(page(n), PAGE_SIZE).fill(`page ${n} after; `);
      using registration = cache.acquireRange(page(n), PAGE_SIZE);
      pair.a.qp.postSend(
        new SendRequests().write(
          n,
          page(n),
          PAGE_SIZE,
          registration.lkey,
          target.address,
          target.region.rkey,
        ),
      );
      await completions(pair.a.cq, 1);
      assert.ok(target.bytes.equals(bytes), `other bytes arrived from page ${n}`);
    }
  }

  it(`invalidates all of ${COUNT} registrations, but none with translation only`, async () => {
    const features = Feature.GENERATION | Feature.BATCH;
    using without = filled(features);
    using cache = filled(features | Feature.TRANSLATION);
    assert.equal(without.statistics().registered, COUNT, 'the second cache leaves the first one alone');

    const before = balanced();
    writeFileSync(BALANCING, '1');
    let left = COUNT;
    const rounds = await wander(() => {
      without.drain();
      left = without.statistics().registered;
      // Both caches see every event, so let there be many.
      return left === 0 && balanced().updates - before.updates > 20 * COUNT;
    });
    writeFileSync(BALANCING, '0');
    const after = balanced();
    cache.drain();
    const { registered, invalidations } = cache.statistics();
    console.log(
      `      ${rounds} rounds, ${after.updates - before.updates} page table entries changed, ` +
        `${after.migrated - before.migrated} pages moved; of ${COUNT} registrations survived: ` +
        `${left} without translation only, ${registered} with it`,
    );
    assert.ok(after.updates > before.updates, 'NUMA balancing has not done anything');
    assert.equal(left, 0);
    assert.equal(registered, COUNT);
    assert.equal(invalidations, 0);
    await assertFresh(cache);
    assert.equal(cache.statistics().invalidations, 0);
  });

  it('is told apart from mprotect, also while it is at work', async () => {
    using cache = filled(Feature.GENERATION | Feature.BATCH | Feature.TRANSLATION);
    const before = balanced();
    writeFileSync(BALANCING, '1');
    let calls = 0;
    await wander(() => {
      for (let n = 0; n < 10; n++) {
        for (const protection of [PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ | PROT_WRITE]) {
          cache.acquireRange(page(n), PAGE_SIZE).release();
          const { invalidations } = cache.statistics();
          assert.equal(mprotect(page(n), PAGE_SIZE, protection), 0);
          cache.drain();
          assert.equal(
            cache.statistics().invalidations,
            invalidations + 1,
            `the event of mprotect ${calls} and no other`,
          );
          calls++;
        }
      }
      return calls >= 100 && balanced().updates > before.updates;
    });
    writeFileSync(BALANCING, '0');
    const updates = balanced().updates - before.updates;
    console.log(`      ${calls} calls of mprotect, ${updates} page table entries changed by balancing`);
    assert.ok(calls >= 100);
    assert.ok(updates > 0, 'NUMA balancing has not done anything');
  });
});
