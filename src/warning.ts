import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Every warning this package gives, by the code in it. */
export type WarningCode =
  'RDMA_REGCACHE_NO_MONITOR' | 'RDMA_REGCACHE_NO_STATISTICS' | 'RDMA_REGCACHE_UNKNOWN_VARIABLE';

/**
 * Emit a process warning, of type RegcacheWarning, unless this process has. Threads know it of the one that started
 * them: siblings that are each the first say it once each.
 */
export function warnOnce(code: WarningCode, message: string): void {
  const key = `rdma-regcache:${code}`;
  if (getEnvironmentData(key) === true) return;
  setEnvironmentData(key, true);
  process.emitWarning(message, { type: 'RegcacheWarning', code });
}
