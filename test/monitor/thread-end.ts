/** A worker thread, or a process, that opens a monitor, says 'ready', and ends as it is told without closing it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';
import type { MemoryMonitor } from '../../src/monitor/monitor.js';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { Storm } from './storm.js';

export type Kind = 'userfaultfd' | 'malloc-hooks';

export type Activity =
  /** Wait for nothing in particular, with events pending. */
  | 'idle'
  /** Watch, drop, drain and unwatch without end. */
  | 'draining'
  /** The same while the event loop calls back. */
  | 'called back';

export interface Orders {
  kind: Kind;
  activity: Activity;
  /** End so, of its own accord. */
  ending?: 'process.exit' | 'uncaught error' | undefined;
}

export const EXIT_CODE = 7;
const FILE = fileURLToPath(import.meta.url);
const PAGES = 16;

const open = (kind: Kind): MemoryMonitor =>
  kind === 'userfaultfd' ? new UserfaultfdMonitor() : new MallocHooksMonitor();

async function obey({ kind, activity, ending }: Orders, tell: () => void): Promise<void> {
  const monitor = open(kind);
  const memory = map(PAGES * PAGE_SIZE);
  // One view for all rounds: koffi aborts the process when a thread is terminated while it makes one.
  const bytes = bytesAt(memory, PAGES * PAGE_SIZE);
  const drop = (n: number): void => {
    bytes.fill(1, n * PAGE_SIZE, (n + 1) * PAGE_SIZE);
    madvise(memory + n * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
  };
  const sink = {
    invalidated: (cookie: number) => {
      monitor.unwatch(cookie);
    },
    drainedTo: () => undefined,
  };
  let cookie = 0;
  const round = (): void => {
    const n = ++cookie % PAGES;
    monitor.watch(memory + n * PAGE_SIZE, memory + (n + 1) * PAGE_SIZE, cookie, 0);
    drop(n);
  };
  monitor.watch(memory, memory + PAGES * PAGE_SIZE, 0, 0);
  drop(1);
  if (isMainThread) await new Storm(memory, PAGES).begun();
  tell();
  if (ending === 'process.exit') process.exit(EXIT_CODE);
  if (ending === 'uncaught error') throw new Error('as told');
  switch (activity) {
    case 'draining':
      for (;;) {
        round();
        monitor.drain(sink);
      }
    case 'called back':
      monitor.whenPending!(() => {
        monitor.drain(sink);
        round();
      });
  }
  setInterval(() => undefined, 1000);
  process.on('exit', () => {
    unmap(memory, PAGES * PAGE_SIZE);
  });
}

/** Starts one that ends by being told so, and is under way. */
export async function startWorker(orders: Orders): Promise<Worker> {
  const worker = new Worker(FILE, { workerData: { orders }, stderr: true });
  await once(worker, 'message');
  return worker;
}

/** Exit code and signal of a process that has been under way. */
export async function runProcess(
  orders: Orders,
  signal?: NodeJS.Signals,
): Promise<[number | null, NodeJS.Signals | null]> {
  const child = fork(FILE, [JSON.stringify(orders)], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const late = setTimeout(() => child.kill('SIGKILL'), 90_000);
  await Promise.race([once(child, 'message'), exited]);
  if (signal !== undefined) child.kill(signal);
  const [code, by] = await exited;
  clearTimeout(late);
  return [code, by];
}

if (!isMainThread && workerData !== null && 'orders' in (workerData as { orders?: Orders })) {
  await obey((workerData as { orders: Orders }).orders, () => {
    parentPort!.postMessage('ready');
  });
} else if (isMainThread && process.argv[1] === FILE) {
  await obey(JSON.parse(process.argv[2]) as Orders, () => process.send!('ready'));
}
