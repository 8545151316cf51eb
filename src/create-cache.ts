import { RegistrationCache } from './cache/cache.js';
import type { CacheLimits } from './cache/options.js';
import { regcacheError } from './errors.js';
import { PagemapWitness } from './memory/pagemap.js';
import type { MemoryMonitor } from './monitor/monitor.js';
import { Feature } from './monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from './monitor/ummunotify.js';
import { ProtectionDomain } from './verbs/protection-domain.js';
import { IbverbsRegistrar } from './verbs/registrar.js';

export interface CreateCacheOptions extends CacheLimits {
  /** That of another cache of this thread, `cache.monitor`, to share it; the last cache on it closes it. */
  monitor?: MemoryMonitor;
  /**
   * Check at every acquire, by the page frames, that what is handed out is right, and throw ERR_STALE_REGISTRATION
   * otherwise. Slow, needs CAP_SYS_ADMIN; for tests.
   * @default false
   */
  checking?: boolean;
}

/**
 * A registration cache for a protection domain, watched over by the kernel module. Close it before the protection
 * domain.
 * @throws ERR_NO_MONITOR when the module is not loaded, ERR_MONITOR_ACCESS, ERR_INVALID_OPTION, ERR_CLOSED
 */
export function createCache(pd: ProtectionDomain, options: CreateCacheOptions = {}): RegistrationCache {
  if (!(pd instanceof ProtectionDomain)) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      'a cache is made for a protection domain: context.createProtectionDomain()',
    );
  }
  if (pd.closed) throw regcacheError('ERR_CLOSED', 'the protection domain was closed');
  const { monitor: shared, checking = false, ...limits } = options;
  if (typeof checking !== 'boolean') {
    throw regcacheError('ERR_INVALID_OPTION', `option checking is true or false, not ${String(checking)}`);
  }
  const witness = checking ? { witness: new PagemapWitness() } : {};
  const monitor = shared ?? openMonitor(pd);
  try {
    return new RegistrationCache({ ...limits, ...witness, monitor, registrar: new IbverbsRegistrar(pd) });
  } catch (error) {
    witness.witness?.close();
    if (shared === undefined) monitor.close();
    throw error;
  }
}

function openMonitor(pd: ProtectionDomain): UmmunotifyMonitor {
  // Where a fork copies pages for the child only, it is no reason to register anew.
  const fork = pd.context.forkStatus === 'unneeded' ? Feature.TRANSLATION : 0;
  return new UmmunotifyMonitor({ features: Feature.GENERATION | Feature.BATCH | fork });
}
