import { type Settings, VARIABLES } from './environment.js';
import { regcacheError, RegcacheError, shown } from './errors.js';
import { MONITOR_NAMES, type MonitorName } from './monitor/choice.js';
import { choiceOf, type MonitorSettings, openMonitor } from './monitor/open.js';
import type { MemoryMonitor } from './monitor/monitor.js';
import { Feature } from './monitor/ummunotify-abi.js';
import type { Context } from './verbs/context.js';
import { warnOnce } from './warning.js';

/**
 * Open the monitor for a cache: the one that the program names, or the operator where the program leaves it open, or
 * the best that keeps the promise.
 * @param asked a name, 'auto' for what the operator and the machine say; undefined is 'auto' that nobody wrote
 * @throws ERR_INVALID_OPTION, ERR_NO_MONITOR, ERR_MONITOR_ACCESS
 */
export function chooseMonitor(
  asked: MonitorName | undefined,
  context: Pick<Context, 'forkStatus'>,
  settings: Settings,
): MemoryMonitor {
  if (asked !== undefined && !MONITOR_NAMES.includes(asked)) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      `option monitor is one of ${MONITOR_NAMES.join(', ')}, or a monitor, not ${shown(asked)}`,
    );
  }
  const how = monitorSettings(context, settings);
  if ((asked === undefined || asked === 'auto') && settings.monitor !== undefined)
    return openForOperator(settings.monitor, how);
  return openMonitor(asked ?? 'auto', asked === undefined ? 'default' : 'program', how);
}

function monitorSettings({ forkStatus }: Pick<Context, 'forkStatus'>, { device }: Settings): MonitorSettings {
  // Where a fork copies pages for the child only, it is no reason to register anew.
  const fork = forkStatus === 'unneeded' ? Feature.TRANSLATION : 0;
  return {
    features: Feature.GENERATION | Feature.BATCH | fork,
    ...(device === undefined ? {} : { path: device }),
  };
}

function openForOperator(name: MonitorName, how: MonitorSettings): MemoryMonitor {
  try {
    return openMonitor(name, 'environment', how);
  } catch (cause) {
    if (!(cause instanceof RegcacheError)) throw cause;
    // Who reads this wrote the program, and not the variable.
    throw cause.within(`${VARIABLES.monitor.name}=${name}`);
  }
}

/** Warn, once, when nobody asked for no monitor and it came to that. */
export function warnOfNone(monitor: MemoryMonitor): void {
  const { kind, wanted, passedOver } = choiceOf(monitor);
  if (kind !== 'none' || wanted !== 'auto') return;
  const why = passedOver
    .map(({ kind, reason, advice }) => `${kind} was passed over: ${reason}; ${advice}`)
    .join('. ');
  warnOnce(
    'RDMA_REGCACHE_NO_MONITOR',
    `nothing watches this process's memory, so each acquire makes a registration of its own. ${why}`,
  );
}
