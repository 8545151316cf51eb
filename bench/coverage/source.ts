import { Access, createCache, type MemoryMonitor, type ProtectionDomain } from 'rdma-regcache';
import type { Monitor } from './cell.js';
import { openUcx } from './ucx.js';

/** Memory that can be sent. */
export interface Registered extends Disposable {
  readonly lkey: number;
}

/** What hands out registrations and is put to the test. */
export interface Source extends Disposable {
  /** @throws RegcacheError */
  acquire(address: number, length: number): Registered;
  /** How many it has made of its own. */
  registrations(): number;
}

/** Says that it watches, and reports nothing. */
const KEEPS_FOR_EVER: MemoryMonitor = {
  kind: 'kept',
  counter: new Int32Array(2),
  watch: () => true,
  unwatch: () => undefined,
  drain: (sink) => {
    sink.drainedTo(0, 0);
  },
  close: () => undefined,
};

/** @throws RegcacheError `ERR_NO_MONITOR` where there is no such monitor */
export function openSource(monitor: Monitor, pd: ProtectionDomain): Source {
  if (monitor === 'ucx') return openUcx(pd.pointer);
  const cache = createCache(pd, { monitor: monitor === 'kept' ? KEEPS_FOR_EVER : monitor });
  return {
    acquire: (address, length) => cache.acquireRange(address, length, Access.LOCAL_WRITE),
    registrations: () => cache.statistics().registrations,
    [Symbol.dispose]: () => {
      cache.close();
    },
  };
}
