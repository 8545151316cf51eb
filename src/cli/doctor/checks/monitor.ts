import { chooseMonitor } from '../../../choose-monitor.js';
import { readEnvironment } from '../../../environment.js';
import type { MonitorChoice } from '../../../monitor/choice.js';
import { choiceOf } from '../../../monitor/open.js';
import type { Finding } from '../finding.js';

/** Which monitor a cache would get whose program leaves the choice open. */
export function check(): Finding {
  const monitor = chooseMonitor(undefined, { forkStatus: 'unknown' }, readEnvironment());
  monitor.close();
  return judge(choiceOf(monitor));
}

/** What to say of a choice. */
export function judge(choice: MonitorChoice): Finding {
  const { kind, by, passedOver } = choice;
  const asked = by === 'environment' ? ', as the environment asks' : '';
  const facts = { ...choice };
  if (kind === 'ummunotify') return { status: 'ok', text: `a cache gets ummunotify${asked}`, facts };
  if (kind === 'none') {
    return {
      status: 'problem',
      text: `a cache gets none${asked}: every acquire registers anew, right and slow`,
      more: passedOver.map((better) => `no ${better.kind}: ${better.reason}`),
      mend: passedOver[0]?.advice ?? 'unset RDMA_REGCACHE_MONITOR',
      facts,
    };
  }
  return {
    status: 'problem',
    text: `a cache gets ${kind}${asked}, which cannot see every change: it may send stale bytes`,
    mend: 'unset RDMA_REGCACHE_MONITOR',
    facts,
  };
}
