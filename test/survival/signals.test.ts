import assert from 'node:assert/strict';
import koffi from 'koffi';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import { E, errno, MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { map, unmap } from '../../src/system/mapping.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { pagesStay } from '../system/pages-stay.js';
import { requireStack } from '../system/stack.js';
import { PAGE_SIZE, Side } from '../system/verbs-fixture.js';

const PAGES = 64;
const SA_RESTART = 0x10000000;
const SIZE_OF_SIGACTION = 152;
/** Microseconds. */
const INTERVAL = 250;

const libc = koffi.load(null);
const sigaction = libc.func('int sigaction(int signal, void *action, void *old)') as (
  signal: number,
  action: Buffer,
  old: Buffer | null,
) => number;
const setitimer = libc.func('int setitimer(int which, void *value, void *old)') as (
  which: number,
  value: Buffer,
  old: null,
) => number;
const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)') as (
  fds: null,
  count: number,
  timeout: number,
) => number;
/** A function that takes a number and has no effect: a handler that does nothing. */
const doNothing = (
  libc.func('uintptr_t dlsym(uintptr_t handle, const char *name)') as (handle: number, name: string) => number
)(0, 'abs');

/** Have a signal interrupt this thread at short intervals, with no system call restarted by the kernel, until disposed. */
function storm(signal: number, timer: number): Disposable {
  const action = Buffer.alloc(SIZE_OF_SIGACTION);
  action.writeBigUInt64LE(BigInt(doNothing));
  assert.equal(action.readUInt32LE(136) & SA_RESTART, 0);
  const old = Buffer.alloc(SIZE_OF_SIGACTION);
  assert.equal(sigaction(signal, action, old), 0);
  const every = (microseconds: number): void => {
    const value = Buffer.alloc(32); // struct itimerval
    value.writeBigInt64LE(BigInt(microseconds), 8);
    value.writeBigInt64LE(BigInt(microseconds), 24);
    assert.equal(setitimer(timer, value, null), 0);
  };
  every(INTERVAL);
  return {
    [Symbol.dispose]() {
      every(0);
      assert.equal(sigaction(signal, old, null), 0);
    },
  };
}

describe('a storm of signals', function () {
  this.timeout(120_000);
  requireStack();
  pagesStay();

  for (const [name, signal, timer] of [
    ['SIGALRM', 14, 0],
    ['SIGPROF', 27, 2],
  ] as const) {
    it(`${name}: registrations, drains and waits neither fail nor are told of EINTR`, async () => {
      const memory = map(PAGES * PAGE_SIZE);
      const page = (n: number): number => memory + (n % PAGES) * PAGE_SIZE;
      const warnings: Error[] = [];
      const warned = (warning: Error): void => void warnings.push(warning);
      process.on('warning', warned);
      using raging = storm(signal, timer);
      assert.ok(raging);
      if (name === 'SIGALRM') {
        // A storm it is: what does sleep is interrupted.
        assert.equal(poll(null, 0, 2000), -1);
        assert.equal(errno(), E.EINTR);
      }
      const side = new Side();
      side.qp.connect(side.qp.local);
      const cache = createCache(side.pd, { registerOffThreadFrom: 4 * PAGE_SIZE });
      const end = performance.now() + 1500;
      let rounds = 0;
      for (; performance.now() < end; rounds++) {
        for (let n = 0; n < PAGES; n++) cache.acquireRange(page(n), PAGE_SIZE).release();
        madvise(memory, PAGES * PAGE_SIZE, MADV_DONTNEED);
        cache.drain();
        const large = await cache.acquireAsync({ address: memory, length: 8 * PAGE_SIZE });
        large.release();
        using from = cache.acquireRange(page(0), PAGE_SIZE);
        using to = cache.acquireRange(page(1), PAGE_SIZE, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
        const write = new SendRequests();
        write.write(rounds, from.address, PAGE_SIZE, from.lkey, to.address, to.rkey);
        // Begun before there is anything, so that it does wait.
        const waiting = side.cq.wait();
        side.qp.postSend(write);
        const [done] = await waiting;
        assert.equal(done.status, 'SUCCESS');
        if (rounds % 8 === 0) cache.flush();
      }
      const { invalidations, registrationFailures, deregistrationFailures, unstable } = cache.statistics();
      assert.ok(invalidations >= PAGES, `${rounds} rounds, ${invalidations} invalidations`);
      assert.deepEqual([registrationFailures, deregistrationFailures, unstable], [0, 0, 0]);
      await cache.end();
      side.close();
      process.off('warning', warned);
      assert.deepEqual(warnings, []);
      unmap(memory, PAGES * PAGE_SIZE);
    });
  }
});
