import { EventChannel } from '../../../cm/event-channel.js';
import { RegcacheError } from '../../../errors.js';
import type { Finding } from '../finding.js';
import { describeLoaded } from '../rdma-core.js';

export function check(): Finding {
  try {
    EventChannel.get().leave();
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return judge(error);
  }
  return describeLoaded('librdmacm');
}

/** What to say when the connection manager cannot be used: it is in the way of nothing else. */
export function judge({ code, reason, advice }: RegcacheError): Finding {
  return {
    status: 'warning',
    text: `${reason}; only connect and listen need it`,
    mend: advice,
    facts: { code },
  };
}
