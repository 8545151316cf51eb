import { Access } from '../../../access.js';
import { RegistrationCache } from '../../../cache/cache.js';
import { chooseMonitor } from '../../../choose-monitor.js';
import { readEnvironment } from '../../../environment.js';
import { RegcacheError } from '../../../errors.js';
import { map, PAGE_SIZE, unmap } from '../../../system/mapping.js';
import type { Context } from '../../../verbs/context.js';
import { openDevice } from '../../../verbs/device.js';
import { IbverbsRegistrar } from '../../../verbs/registrar.js';
import type { Finding } from '../finding.js';
import { viewsOf } from '../../../monitor/live-views.js';

/** Register a page through a cache, unmap it, and see whether the cache notices. */
export function check(): Finding {
  let context: Context;
  try {
    context = openDevice();
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return { status: 'problem', text: `could not be tried: ${error.reason}`, facts: { tried: false } };
  }
  using open = context;
  const settings = readEnvironment();
  const monitor = chooseMonitor(undefined, open, settings);
  if (monitor.kind === 'none') {
    return {
      status: 'problem',
      text: 'could not be tried: nothing watches the memory',
      facts: { tried: false },
    };
  }
  using pd = open.createProtectionDomain();
  using cache = new RegistrationCache({
    monitor,
    registrar: new IbverbsRegistrar(pd),
    deregisterFor: Infinity,
  });
  return tryCache(cache, `${open.device.name}, watched by ${monitor.kind}`);
}

function tryCache(cache: RegistrationCache, where: string): Finding {
  const address = map(PAGE_SIZE);
  cache.acquireRange(address, PAGE_SIZE, Access.LOCAL_WRITE).release();
  cache.acquireRange(address, PAGE_SIZE, Access.LOCAL_WRITE).release();
  const counted = cache.statistics();
  const before = viewsOf(cache.monitor).counter[0];
  unmap(address, PAGE_SIZE);
  const moved = viewsOf(cache.monitor).counter[0] !== before;
  cache.drain();
  const { invalidations, registered } = cache.statistics();
  const microseconds = Math.round(counted.registrationMicroseconds / Math.max(1, counted.registrations));
  const facts = { tried: true, where, moved, invalidations, registered, hits: counted.hits, microseconds };
  if (moved && invalidations === 1 && registered === 0) {
    const reused = counted.hits === 1 ? 'was reused' : 'was not kept';
    return {
      status: 'ok',
      text: `on ${where}: a page was registered in ${microseconds} us, ${reused}, and let go of once it was unmapped`,
      facts,
    };
  }
  return {
    status: 'problem',
    text: `on ${where}: the cache did not notice that a page was unmapped`,
    mend: 'this is a fault; set RDMA_REGCACHE_BYPASS=1 until it is mended, and report it',
    facts,
  };
}
