import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { RegistrationCache } from '../cache/cache.js';
import { RegcacheError, regcacheError, shown } from '../errors.js';
import { refuseOption, takeOptions } from '../options.js';
import { warnOnce } from '../warning.js';
import { privateFolder, socketName } from './folder.js';
import { snapshotOf } from './snapshot.js';

export interface PublishOptions {
  /**
   * What the cache is called where it is shown.
   * @default 'cache 1', 'cache 2' ... in the order of the thread's calls
   */
  name?: string;
}

/** A cache that others can watch. */
export interface Published {
  /** The socket, which only this user (and root) can open. */
  readonly path: string;
  /** Show it no more; the socket goes with the thread's last cache. Does nothing the second time. */
  stop(): void;
  [Symbol.dispose](): void;
}

interface Socket {
  readonly path: string;
  readonly server: Server;
}

const caches = new Map<RegistrationCache, string>();
let socket: Socket | undefined;
let named = 0;

/**
 * Let `rdma-regcache stats` show what a cache does: whoever connects to a Unix socket of this thread is told its
 * statistics. Costs nothing while nobody looks, and does not keep the process alive. A cache that was closed is shown
 * no more.
 * @throws ERR_INVALID_OPTION, also where there is no private folder for the socket: `$XDG_RUNTIME_DIR` or /tmp;
 *   ERR_CLOSED
 */
export function publishStatistics(cache: RegistrationCache, options: PublishOptions = {}): Published {
  const { name = `cache ${named + 1}` } = takeOptions(options, ['name']);
  if (!(cache instanceof RegistrationCache)) refuseOption('cache', `is a cache, not ${shown(cache)}`);
  if (typeof name !== 'string') refuseOption('name', `is a string, not ${shown(name)}`);
  if (cache.closed) throw regcacheError('ERR_CLOSED', 'the cache was closed');
  forgetClosed();
  socket ??= open();
  named++;
  caches.set(cache, name);
  const stop = (): void => {
    caches.delete(cache);
    if (caches.size === 0) close();
  };
  return { path: socket.path, stop, [Symbol.dispose]: stop };
}

/** The same because of a variable: when it cannot be, that is no reason to have no cache. */
export function publishForOperator(cache: RegistrationCache): void {
  try {
    publishStatistics(cache);
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    warn(error.reason);
  }
}

function forgetClosed(): void {
  for (const cache of caches.keys()) if (cache.closed) caches.delete(cache);
}

function warn(reason: string): void {
  warnOnce('RDMA_REGCACHE_NO_STATISTICS', `rdma-regcache stats will not find this process: ${reason}`);
}

function open(): Socket {
  const name = socketName(process.pid, threadId);
  const path = join(privateFolder(name.length), name);
  // One that a process of the same number has left behind.
  rmSync(path, { force: true });
  const server = createServer((connection) => {
    connection.unref();
    // Whoever asked may be gone.
    connection.on('error', () => undefined);
    forgetClosed();
    connection.end(`${JSON.stringify(snapshotOf(caches))}\n`);
  });
  server.on('error', ({ message }) => {
    warn(message);
    close();
  });
  server.listen(path, () => {
    chmodSync(path, 0o600);
  });
  server.unref();
  process.once('exit', close);
  return { path, server };
}

function close(): void {
  if (socket === undefined) return;
  const { path, server } = socket;
  socket = undefined;
  process.off('exit', close);
  server.close();
  rmSync(path, { force: true });
}
