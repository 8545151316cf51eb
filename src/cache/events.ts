import { channel } from 'node:diagnostics_channel';
import type { Registration } from './registration.js';

/** Why a registration is no longer handed out. */
export type RetireReason = 'stale' | 'evicted' | 'replaced' | 'flushed' | 'invalidated' | 'released';

/** What a registration was when something happened to it. */
export interface RegistrationInfo {
  /** First byte. */
  readonly address: number;
  /** Bytes. */
  readonly length: number;
  /** Bits of Access. */
  readonly access: number;
  /** Keys as those of {@link Registration}. */
  readonly lkey: number;
  readonly rkey: number;
  /** Acquires less releases. */
  readonly uses: number;
  /** No longer handed out; deregistered at its last release. */
  readonly retired: boolean;
  /** Its addresses map to other pages now. */
  readonly stale: boolean;
}

/** Events of a cache. Listeners run after the operation, in a microtask: they may use the cache. */
export interface CacheEvents {
  /** A registration was made. */
  register: [registration: RegistrationInfo];
  /** It is no longer handed out, for whatever reason. */
  retire: [registration: RegistrationInfo, reason: RetireReason];
  /** It was given up, idle, for a limit or for want of resources. */
  evict: [registration: RegistrationInfo];
  /** A registration in use went stale: transfers with it read or write pages that nobody sees any more. */
  stale: [registration: Registration];
}

/**
 * Channels of node:diagnostics_channel, told of all caches of the thread. A message has `cache`, `registration` and, if
 * it retired, `reason`.
 */
export const CHANNELS = {
  register: channel('rdma-regcache:register'),
  retire: channel('rdma-regcache:retire'),
  evict: channel('rdma-regcache:evict'),
  stale: channel('rdma-regcache:stale-in-use'),
} as const;
