import { RegistrationCache } from './cache/cache.js';
import { type CacheLimits, LIMITS } from './cache/options.js';
import { chooseMonitor, warnOfNone } from './choose-monitor.js';
import { readEnvironment, type Settings, warnOfSlips } from './environment.js';
import { regcacheError } from './errors.js';
import { checkBoolean, takeOptions } from './options.js';
import { PagemapWitness } from './memory/pagemap.js';
import type { MonitorName } from './monitor/choice.js';
import { choiceOf } from './monitor/open.js';
import type { MemoryMonitor } from './monitor/monitor.js';
import { publishForOperator } from './publish/publish.js';
import { ProtectionDomain } from './verbs/protection-domain.js';
import { IbverbsRegistrar } from './verbs/registrar.js';

/** Limits and habits, and who watches the memory. */
export interface CreateCacheOptions extends CacheLimits {
  /**
   * Who says when memory has changed. 'auto' takes the kernel module and, where it is not loaded, none; the variable
   * RDMA_REGCACHE_MONITOR can say otherwise. Any other name is that monitor or an error. That of another cache of this
   * thread, `cache.monitor`, is shared; the last cache on it closes it.
   * @default 'auto'
   */
  monitor?: MonitorName | MemoryMonitor;
  /**
   * Check at every acquire, by the page frames, that what is handed out is right, and throw ERR_STALE_REGISTRATION
   * otherwise. Slow, needs CAP_SYS_ADMIN; for tests.
   * @default false
   */
  checking?: boolean;
}

/**
 * A registration cache for a protection domain. Where the kernel module is not loaded nothing is cached, and a process
 * warning says so; `cache.monitorChoice` tells why. What is left out here may come from the RDMA_REGCACHE_* variables.
 * Close the cache before the protection domain.
 * @throws ERR_INVALID_OPTION, ERR_CLOSED; ERR_NO_MONITOR, ERR_MONITOR_ACCESS and ERR_NO_HELPER for a monitor asked for
 *   by name; the system's error, EMFILE for one
 */
export function createCache(pd: ProtectionDomain, options: CreateCacheOptions = {}): RegistrationCache {
  if (!(pd instanceof ProtectionDomain)) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      'a cache is made for a protection domain: context.createProtectionDomain()',
    );
  }
  if (pd.closed) throw regcacheError('ERR_CLOSED', 'the protection domain was closed');
  const taken = takeOptions(options, NAMES);
  const settings = readEnvironment();
  const { monitor: wanted, checking = settings.checking ?? false, ...limits } = taken;
  checkBoolean('checking', checking);
  const witness = checking ? { witness: new PagemapWitness() } : {};
  let opened: MemoryMonitor | undefined;
  try {
    const monitor = isGiven(wanted) ? wanted : (opened = chooseMonitor(wanted, pd.context, settings));
    const cache = new RegistrationCache({
      ...limits,
      ...limitsOf(settings, limits),
      ...witness,
      monitor,
      monitorChoice: choiceOf(monitor),
      registrar: new IbverbsRegistrar(pd),
    });
    if (settings.bypass === true) cache.bypass = true;
    if (settings.publish === true) publishForOperator(cache);
    warnOfSlips();
    warnOfNone(monitor);
    return cache;
  } catch (error) {
    witness.witness?.close();
    opened?.close();
    throw error;
  }
}

const NAMES = ['monitor', 'checking', ...LIMITS];

const isGiven = (wanted: CreateCacheOptions['monitor']): wanted is MemoryMonitor =>
  typeof wanted === 'object' && (wanted as object | null) !== null;

/** What the operator limits and the program does not. */
function limitsOf(settings: Settings, limits: CacheLimits): CacheLimits {
  const { maxRegistrations, maxPinnedBytes } = settings;
  return {
    ...(maxRegistrations === undefined || limits.maxRegistrations !== undefined ? {} : { maxRegistrations }),
    ...(maxPinnedBytes === undefined || limits.maxPinnedBytes !== undefined ? {} : { maxPinnedBytes }),
  };
}
