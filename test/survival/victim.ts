/** A process that is to be killed: it gets to a stage of its life, says so, and goes on there for ever. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map } from '../../src/system/mapping.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { startWorker } from '../system/worker-end.js';
import { PAGE_SIZE, Side } from '../system/verbs-fixture.js';

const PAGES = 1000;
const LARGE = 16 << 20;

const ready = (): void => {
  process.send!('ready');
};
const rest = (): void => {
  ready();
  setInterval(() => undefined, 1000);
};
const memory = map(PAGES * PAGE_SIZE);
const page = (n: number): number => memory + (n % PAGES) * PAGE_SIZE;
const touchAll = (): void => {
  bytesAt(memory, PAGES * PAGE_SIZE).fill(1);
};
const zapAll = (): void => {
  madvise(memory, PAGES * PAGE_SIZE, MADV_DONTNEED);
};

function watchAll(): UmmunotifyMonitor {
  const monitor = new UmmunotifyMonitor();
  for (let n = 0; n < PAGES; n++) monitor.watch(page(n), page(n) + PAGE_SIZE, n, n);
  return monitor;
}

export const STAGES = {
  'after opening the monitor'() {
    new UmmunotifyMonitor();
    rest();
  },

  'after watching, with events to read'() {
    touchAll();
    watchAll();
    zapAll();
    rest();
  },

  'after registering, with registrations in use'() {
    const cache = createCache(new Side().pd);
    for (let n = 0; n < 20; n++) cache.acquireRange(page(n), PAGE_SIZE);
    for (let n = 20; n < 40; n++) cache.acquireRange(page(n), PAGE_SIZE).release();
    rest();
  },

  'with many registrations'() {
    const cache = createCache(new Side().pd);
    for (let n = 0; n < PAGES; n++) cache.acquireRange(page(n), PAGE_SIZE).release();
    rest();
  },

  'with transfers in flight'() {
    const side = new Side();
    side.qp.connect(side.qp.local);
    const cache = createCache(side.pd);
    const from = cache.acquireRange(map(LARGE), LARGE);
    const to = cache.acquireRange(map(LARGE), LARGE, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
    const write = new SendRequests().write(1, from.address, LARGE, from.lkey, to.address, to.rkey);
    for (let n = 0; n < 4; n++) side.qp.postSend(write);
    ready();
    for (;;) if (side.cq.poll().length > 0) side.qp.postSend(write);
  },

  'while draining'() {
    touchAll();
    const monitor = watchAll();
    ready();
    for (;;) {
      touchAll();
      zapAll();
      monitor.drain({ invalidated: () => undefined, drainedTo: () => undefined });
    }
  },

  'while deregistering'() {
    const cache = createCache(new Side().pd, { deregisterOffThreadFrom: Infinity });
    const large = map(LARGE);
    ready();
    for (;;) {
      cache.acquireRange(large, LARGE).release();
      cache.flush();
    }
  },

  async 'with worker threads'() {
    const workers = (['acquiring', 'registering by another thread'] as const).map((activity) =>
      startWorker({ activity, ending: 'none of its own' }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    rest();
  },
} satisfies Record<string, () => void | Promise<void>>;

export type Stage = keyof typeof STAGES;
export const FILE = fileURLToPath(import.meta.url);

if (process.argv[1] === FILE) await STAGES[process.argv[2] as Stage]();
