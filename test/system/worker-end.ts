/**
 * A worker thread, or a process, that opens all there is to open, says 'ready', and ends in the way that it is told
 * without closing anything.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map } from '../../src/system/mapping.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { PAGE_SIZE, Side } from './verbs-fixture.js';

export type Activity =
  /** Wait for nothing in particular, with idle registrations. */
  | 'idle'
  /** The same, with registrations in use. */
  | 'holding'
  /** Acquire and release without end, while what was acquired before loses its pages. */
  | 'acquiring'
  /** Write memory into memory through the device, and wait for each completion on the event loop. */
  | 'transferring'
  /** Have other threads of the pool register and deregister without end. */
  | 'registering by another thread';

export type Ending = 'process.exit' | 'uncaught error' | 'end of its work' | 'none of its own';

export interface Orders {
  activity: Activity;
  ending: Ending;
  /** Have a worker do it, in a process. */
  inWorker?: boolean;
}

export const EXIT_CODE = 7;
const PAGES = 64;
const LARGE = 8 * PAGE_SIZE;

async function obey({ activity, ending }: Orders, tell: () => void): Promise<void> {
  const side = new Side();
  const cache = createCache(side.pd, { registerOffThreadFrom: LARGE, deregisterOffThreadFrom: LARGE });
  const memory = map(PAGES * PAGE_SIZE);
  const page = (n: number): number => memory + (n % PAGES) * PAGE_SIZE;
  for (let n = 0; n < 10; n++) cache.acquireRange(page(n), PAGE_SIZE).release();
  if (activity === 'holding') for (let n = 5; n < 15; n++) cache.acquireRange(page(n), PAGE_SIZE);
  // Of the device, too, there are events to read while this thread ends.
  bytesAt(memory, PAGE_SIZE).fill(1);
  madvise(memory, PAGE_SIZE, MADV_DONTNEED);
  tell();
  if (ending === 'process.exit') process.exit(EXIT_CODE);
  if (ending === 'uncaught error') throw new Error('as told');
  if (ending === 'end of its work') return;

  switch (activity) {
    case 'acquiring':
      for (let n = 0; ; n++) {
        cache.acquireRange(page(n), PAGE_SIZE).release();
        if (n % 3 === 0) madvise(page(n), PAGE_SIZE, MADV_DONTNEED);
      }
    case 'transferring':
      side.qp.connect(side.qp.local);
      for (let n = 0; ; n++) {
        using from = cache.acquireRange(page(n), PAGE_SIZE);
        using to = cache.acquireRange(page(n + 1), PAGE_SIZE, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
        const write = new SendRequests().write(n, page(n), PAGE_SIZE, from.lkey, page(n + 1), to.rkey);
        // Asked for before it is under way, so that it is told by an event of the completion channel.
        const done = side.cq.wait();
        side.qp.postSend(write);
        await done;
        madvise(page(n), PAGE_SIZE, MADV_DONTNEED);
      }
    case 'registering by another thread':
      for (let n = 0; ; n++) {
        const large = [page(n % 8), page(16 + (n % 8)), page(32 + (n % 8))];
        const held = await Promise.all(
          large.map((address) => cache.acquireAsync({ address, length: 16 * PAGE_SIZE })),
        );
        for (const registration of held) registration.release();
        cache.flush();
      }
    default:
      setInterval(() => undefined, 1000);
  }
}

async function main(orders: Orders): Promise<void> {
  const tell = (): void => {
    if (isMainThread) process.send!('ready');
    else parentPort!.postMessage('ready');
  };
  if (!orders.inWorker) {
    await obey(orders, tell);
    return;
  }
  const worker = startWorker({ activity: orders.activity, ending: 'none of its own' });
  await once(worker, 'message');
  tell();
  if (orders.ending === 'process.exit') process.exit(EXIT_CODE);
  if (orders.ending === 'uncaught error') throw new Error('as told');
}

export const FILE = fileURLToPath(import.meta.url);
export const startWorker = (orders: Orders): Worker => new Worker(FILE, { workerData: orders, stderr: true });

if (!isMainThread) await main(workerData as Orders);
else if (process.argv[1] === FILE) await main(JSON.parse(process.argv[2]) as Orders);
