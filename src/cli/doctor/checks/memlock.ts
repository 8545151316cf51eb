import { PAGE_SIZE } from '../../../system/libc.js';
import { pinningLimit } from '../../../verbs/registration-error.js';
import { inUnits } from '../../units.js';
import type { Finding } from '../finding.js';

const ENOUGH = 2 ** 30;
const MEND =
  'ulimit -l unlimited, "memlock unlimited" in /etc/security/limits.conf, or LimitMEMLOCK=infinity in the systemd unit';

export function check(): Finding {
  return judge(pinningLimit());
}

/** What to say of the limit of locked memory (RLIMIT_MEMLOCK). */
export function judge({ limit, exempt }: { limit: number; exempt: boolean }): Finding {
  const facts = { limit: limit === Infinity ? 'unlimited' : limit, exempt };
  if (exempt) return { status: 'ok', text: 'no limit for this user (CAP_IPC_LOCK)', facts };
  if (limit === Infinity) return { status: 'ok', text: 'no limit', facts };
  const text = `this user may pin ${inUnits(limit)}`;
  if (limit >= ENOUGH) return { status: 'ok', text, facts };
  // Not a page: nothing can be registered at all.
  return {
    status: limit < PAGE_SIZE ? 'problem' : 'warning',
    text: `${text}, which is little`,
    mend: MEND,
    facts,
  };
}
