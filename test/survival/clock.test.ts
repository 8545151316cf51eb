import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import koffi from 'koffi';
import { createCache } from '../../src/create-cache.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { map, unmap } from '../../src/system/mapping.js';
import { Access } from '../../src/access.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { PAGE_SIZE, Side } from '../system/verbs-fixture.js';

const CLOCK_REALTIME = 0;
const YEAR = 365 * 24 * 3600;

const settime = koffi.load(null).func('int clock_settime(int clock, void *time)') as (
  clock: number,
  time: Buffer,
) => number;

/** Set the machine's clock. @param time milliseconds, as Date.now() */
function setClock(time: number): void {
  const value = Buffer.alloc(16);
  value.writeBigInt64LE(BigInt(Math.floor(time / 1000)));
  value.writeBigInt64LE(BigInt(Math.floor((time % 1000) * 1e6)), 8);
  assert.equal(settime(CLOCK_REALTIME, value), 0);
}

describe('a clock that jumps', function () {
  this.timeout(120_000);
  requireStack();

  let start: { clock: number; monotonic: number };
  before(function () {
    // Not that of somebody's machine.
    needs(this, 'a clock of its own', process.getuid!() === 0 && hostname() === 'guest');
    start = { clock: Date.now(), monotonic: performance.now() };
  });
  const trueTime = (): number => start.clock + performance.now() - start.monotonic;
  /** Also how mocha measures the time of a test, so that it has to be right again at its end. */
  const trueClock = (): Disposable => ({
    [Symbol.dispose]() {
      setClock(trueTime());
    },
  });

  it('forth and back by years: transfers, drains and turns go on, waits end in their time, times measured are sane', async () => {
    using restored = trueClock();
    assert.ok(restored);
    const memory = map(8 * PAGE_SIZE);
    const side = new Side();
    side.qp.connect(side.qp.local);
    const cache = createCache(side.pd);
    for (let n = 0; n < 40; n++) {
      setClock(trueTime() + (n % 2 === 0 ? 1 : -1) * (n % 3 === 0 ? 1 : 10 * YEAR) * 1000);
      using from = cache.acquireRange(memory, PAGE_SIZE);
      using to = cache.acquireRange(memory + PAGE_SIZE, PAGE_SIZE, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
      side.qp.postSend(new SendRequests().write(n, from.address, PAGE_SIZE, from.lkey, to.address, to.rkey));
      const [done] = await side.cq.wait(AbortSignal.timeout(20_000));
      assert.equal(done.status, 'SUCCESS');
      madvise(memory, PAGE_SIZE, MADV_DONTNEED);
    }
    const held = cache.acquireRange(memory, PAGE_SIZE);
    const began = performance.now();
    const end = cache.end({ signal: AbortSignal.timeout(500) });
    setClock(trueTime() + YEAR * 1000);
    setClock(trueTime() - YEAR * 1000);
    await assert.rejects(end, { name: 'TimeoutError' });
    // Neither the jump forth ended it nor the one back held it up.
    const waited = performance.now() - began;
    assert.ok(waited > 450 && waited < 20_000, `${waited} ms`);
    held.release();

    const { registrationMicroseconds, deregistrationMicroseconds, invalidations } = cache.statistics();
    assert.ok(invalidations > 20);
    for (const spent of [registrationMicroseconds, deregistrationMicroseconds]) {
      assert.ok(spent > 0 && spent < 60e6, `${spent} us`);
    }
    await cache.end();
    side.close();
    unmap(memory, 8 * PAGE_SIZE);
  });
});
