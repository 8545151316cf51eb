/**
 * A process that registers more memory than its control group may have. It says 'ready', waits until it is told to go
 * on, and sends what it was refused.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { Side } from '../system/verbs-fixture.js';

/** Bytes: of the limit, and far more. */
export const LIMIT = 16 << 20;
export const MUCH = 4 * LIMIT;

export interface Refused {
  code: string | undefined;
  errno: number | undefined;
  message: string;
}

/** What acquiring it is answered; then it is gone. */
function tryToAcquire(cache: RegistrationCache, address: number, length: number): Refused | undefined {
  try {
    cache.acquireRange(address, length).release();
    return undefined;
  } catch (error) {
    const { code, errno, message } = error as NodeJS.ErrnoException;
    return { code, errno, message };
  } finally {
    unmap(address, length);
  }
}

export const WAYS = {
  /** The page that does not fit any more ends it. */
  'page by page'(cache: RegistrationCache) {
    for (let n = 0; n < MUCH / PAGE_SIZE; n++) cache.acquireRange(map(PAGE_SIZE), PAGE_SIZE).release();
    return undefined;
  },

  /** The kernel is in the middle of a call. */
  'at once'(cache: RegistrationCache) {
    return tryToAcquire(cache, map(MUCH), MUCH);
  },
} satisfies Record<string, (cache: RegistrationCache) => Refused | undefined>;

export type Way = keyof typeof WAYS;
export const FILE = fileURLToPath(import.meta.url);

if (process.argv[1] === FILE) {
  const side = new Side();
  const cache = createCache(side.pd);
  // The way of a refusal too has its pages by then: at the limit there are no others.
  tryToAcquire(cache, map(PAGE_SIZE), PAGE_SIZE);
  tryToAcquire(cache, map(PAGE_SIZE, { prot: 0 }), PAGE_SIZE);
  process.send!('ready');
  await once(process, 'message');
  const refused = WAYS[process.argv[2] as Way](cache);
  // There is room again.
  cache.acquireRange(map(PAGE_SIZE), PAGE_SIZE).release();
  process.send!(refused ?? null);
  cache.close();
  side.close();
  process.disconnect();
}
