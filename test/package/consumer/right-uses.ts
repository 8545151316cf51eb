// What a program may write, compiled against the packed package.
import {
  Access,
  addressOf,
  allocatePageAligned,
  type CacheEvents,
  type CacheOptions,
  completionError,
  createCache,
  type CreateCacheOptions,
  ERROR_CODES,
  type ErrorCode,
  type MemoryMonitor,
  NoMonitor,
  openDevice,
  type ProtectionDomain,
  RegcacheError,
  type Registrar,
  type Registration,
  RegistrationCache,
  SendRequests,
  type Statistics,
} from 'rdma-regcache';

export async function transfer(): Promise<number> {
  using context = openDevice();
  using pd = context.createProtectionDomain();
  using cq = context.createCompletionQueue({ events: true });
  using qp = pd.createQueuePair({ sendQueue: cq });
  await using cache = createCache(pd, { maxPinnedBytes: 2 ** 30, monitor: 'auto', merge: true });
  const memory = allocatePageAligned(4096, { shared: true });
  using registration = cache.acquire(memory);
  using late = await cache.acquireAsync(memory, Access.LOCAL_WRITE | Access.REMOTE_READ, {
    signal: AbortSignal.timeout(1000),
  });
  const send = new SendRequests();
  send.write(1, addressOf(memory), memory.length, registration.lkey, addressOf(memory), late.rkey);
  qp.postSend(send);
  for (const done of await cq.wait()) {
    if (done.status !== 'SUCCESS') throw completionError(done);
  }
  await cache.invalidate({ address: addressOf(memory), length: memory.length });
  return cache.acquireRange(addressOf(memory), memory.length).length;
}

export function listen(cache: RegistrationCache): void {
  cache.on('retire', (registration, reason) => {
    const bytes: number = registration.length;
    const why: 'stale' | 'evicted' | 'replaced' | 'flushed' | 'invalidated' | 'released' = reason;
    console.log(bytes, why);
  });
  cache.on('stale', (registration) => {
    const stale: Registration = registration;
    console.log(stale.stale);
  });
}

export const sharing = (pd: ProtectionDomain, first: RegistrationCache): RegistrationCache =>
  createCache(pd, { monitor: first.monitor });

/** A registrar of one's own. */
export const registrar: Registrar = {
  kind: 'mine',
  register: (start, length, access) => ({ start, length, access }),
  deregister: () => undefined,
  lkey: () => 1,
  rkey: () => 2,
};

export const monitor: MemoryMonitor = new NoMonitor();
export const options: CacheOptions = { monitor, registrar, maxRegistrations: 10 };
export const cacheOfMine = new RegistrationCache(options);
export const hits = ({ hits, acquires }: Statistics): number => hits / acquires;
export const meaning = (code: ErrorCode): string => ERROR_CODES[code];
export const events: (keyof CacheEvents)[] = ['register', 'retire', 'evict', 'stale'];
export const defaults: CreateCacheOptions = {};
export const isOurs = (error: unknown): error is RegcacheError => error instanceof RegcacheError;
