/** A worker thread with a device, a protection domain and a cache of its own, which sends what it is told to. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { createCache } from '../../src/create-cache.js';
import { addressOf } from '../../src/memory/locate.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import type { QueuePairEndpoint } from '../../src/verbs/queue-pair-endpoint.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { completions, Side } from './verbs-fixture.js';

export const SENDER = 'sender';

export type ToSender =
  | { connect: QueuePairEndpoint }
  /** Memory to send. */
  | { send: Uint8Array }
  /** Page-aligned memory to take the pages away from. */
  | { drop: Uint8Array }
  | { end: true };

export interface FromSender {
  endpoint?: QueuePairEndpoint;
  /** What its cache has counted. */
  hits: number;
  invalidations: number;
}

async function main(): Promise<void> {
  const side = new Side();
  const cache = createCache(side.pd);
  const tell = (endpoint?: QueuePairEndpoint): void => {
    const { hits, invalidations } = cache.statistics();
    parentPort!.postMessage({ hits, invalidations, ...(endpoint && { endpoint }) } satisfies FromSender);
  };
  tell(side.qp.local);
  for (;;) {
    const [message] = (await once(parentPort!, 'message')) as [ToSender];
    if ('end' in message) break;
    if ('connect' in message) {
      side.qp.connect(message.connect);
    } else if ('drop' in message) {
      madvise(addressOf(message.drop), message.drop.length, MADV_DONTNEED);
    } else {
      const memory = message.send;
      using registration = cache.acquire(memory);
      const { lkey } = registration;
      side.qp.postSend(new SendRequests().send(1, addressOf(memory), memory.byteLength, lkey));
      await completions(side.cq, 1);
    }
    tell();
  }
  cache.close();
  side.close();
}

if (workerData === SENDER) await main();
