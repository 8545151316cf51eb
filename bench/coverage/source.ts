import { Access, createCache, type ProtectionDomain } from 'rdma-regcache';
import type { Monitor } from './cell.js';
import { KEPT } from './kept.js';
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

/** @throws RegcacheError `ERR_NO_MONITOR` where there is no such monitor */
export function openSource(monitor: Monitor, pd: ProtectionDomain): Source {
  if (monitor === 'ucx') return openUcx(pd.pointer);
  const cache = createCache(pd, { monitor: monitor === 'kept' ? KEPT : monitor });
  return {
    acquire: (address, length) => cache.acquireRange(address, length, Access.LOCAL_WRITE),
    registrations: () => cache.statistics().registrations,
    [Symbol.dispose]: () => {
      cache.close();
    },
  };
}
