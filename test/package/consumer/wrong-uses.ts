// What the types refuse: each line below a directive must be an error, or the compiler refuses the directive.
// Of what is wrong on purpose the linter would say it once more.
/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return,
   @typescript-eslint/no-unsafe-class-instance-assignment */
import {
  Access,
  addressOf,
  allocatePageAligned,
  createCache,
  ERROR_CODES,
  type ErrorCode,
  type MemoryMonitor,
  type ProtectionDomain,
  type Registration,
  RegistrationCache,
  type Statistics,
} from 'rdma-regcache';

export function wrong(cache: RegistrationCache, pd: ProtectionDomain, registration: Registration): void {
  // @ts-expect-error a string is no memory
  cache.acquire('bytes');
  // @ts-expect-error an array of numbers is no memory
  cache.acquire([1, 2, 3]);
  // @ts-expect-error a range has a length
  cache.pin({ address: 4096 });
  // @ts-expect-error addresses are numbers
  cache.acquireRange(4096n, 4096);
  // @ts-expect-error rights are bits of Access
  cache.acquire(Buffer.alloc(1), 'read');
  // @ts-expect-error there is no such right
  cache.acquire(Buffer.alloc(1), Access.EXECUTE);
  // @ts-expect-error a promise is no registration
  cache.acquireAsync(Buffer.alloc(1)).lkey;
  // @ts-expect-error there is no such event
  cache.on('evicted', () => undefined);
  // @ts-expect-error the reason is no number
  cache.on('retire', (_registration, reason: number) => reason);
  // @ts-expect-error a misspelt option
  createCache(pd, { maxPinned: 1 });
  // @ts-expect-error there is no such monitor
  createCache(pd, { monitor: 'uffd' });
  // @ts-expect-error a cache is made for a protection domain
  createCache({});
  // @ts-expect-error not one that can be changed
  cache.setLimits({ merge: true });
  // @ts-expect-error a cache has a registrar
  new RegistrationCache({ monitor: cache.monitor });
  // @ts-expect-error keys are read only
  registration.lkey = 1;
  // @ts-expect-error a length is a number
  allocatePageAligned('4096');
  // @ts-expect-error an address is a number, not a bigint
  const address: bigint = addressOf(Buffer.alloc(1));
  // @ts-expect-error there is no such count
  const count = (statistics: Statistics): number => statistics.hit;
  // @ts-expect-error there is no such code
  const code: ErrorCode = 'ERR_STALE';
  // @ts-expect-error a table of codes is not to be changed
  ERROR_CODES.ERR_BUSY = 'later';
  // @ts-expect-error a monitor has more to it
  const monitor: MemoryMonitor = { drain: () => undefined };
  console.log(address, count, code, monitor);
}
