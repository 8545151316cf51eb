import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Access } from '../../src/access.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { bytesAt, map, unmap } from '../../src/system/mapping.js';
import { openDevice } from '../../src/verbs/device.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { PAGE_SIZE, Side } from '../system/verbs-fixture.js';
import { FILE as ENDPOINTS, type Told } from './endpoint-victim.js';
import { kernelState, settlesAt } from './kernel-state.js';
import { SoftDevice } from './soft-device.js';
import { FILE, type Stage } from './victim.js';

const LENGTH = 64 * PAGE_SIZE;

describe('an RDMA device that is removed', function () {
  this.timeout(120_000);
  requireStack();

  let device: SoftDevice;
  before(function () {
    needs(this, 'root');
    const found = SoftDevice.find();
    needs(this, 'Soft-RoCE alone', found !== undefined);
    device = found!;
  });

  // A test that failed leaves the others a device.
  afterEach(() => {
    if (!device.exists) device.add();
  });

  /** Writes memory over the device, and whether it arrived. */
  async function transfer(side: Side, cache: RegistrationCache, from: number, to: number): Promise<void> {
    bytesAt(from, LENGTH).fill(Math.floor(Math.random() * 256));
    using source = cache.acquireRange(from, LENGTH);
    using target = cache.acquireRange(to, LENGTH, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
    side.qp.postSend(new SendRequests().write(1, from, LENGTH, source.lkey, to, target.rkey));
    // Not for ever.
    const [completion] = await side.cq.wait(AbortSignal.timeout(20_000));
    assert.equal(completion.status, 'SUCCESS');
    assert.deepEqual(bytesAt(to, LENGTH), bytesAt(from, LENGTH));
  }

  it('under load: who has it open goes on and closes all, others are told, and a new one can be used', async () => {
    const from = map(LENGTH);
    const to = map(LENGTH);
    const before = kernelState();
    const side = new Side();
    side.qp.connect(side.qp.local);
    const cache = createCache(side.pd);
    let removal: Promise<unknown[]> | undefined;
    try {
      let transfers = 0;
      const until = async (stop: () => boolean): Promise<void> => {
        for (; !stop(); transfers++) {
          await transfer(side, cache, from, to);
          // A wait whose completion is there already does not let the event loop go on.
          await delay(0);
        }
      };
      /** So many have been, with the device and then without it. */
      let enough = Infinity;
      const load = until(() => transfers >= enough);
      while (transfers === 0) await Promise.race([load, delay(1)]);
      [removal] = await device.remove();
      enough = transfers + 20;
      for (const asked of [undefined, device.name]) {
        assert.throws(() => openDevice(asked), { code: 'ERR_NO_RDMA_DEVICE' });
      }
      await load;
    } finally {
      await cache.end({ signal: AbortSignal.timeout(20_000) });
      side.close();
    }
    assert.deepEqual(await removal, [0, null]);
    device.add();

    const again = new Side();
    again.qp.connect(again.qp.local);
    const cacheAgain = createCache(again.pd);
    await transfer(again, cacheAgain, from, to);
    cacheAgain.close();
    again.close();
    unmap(from, LENGTH);
    unmap(to, LENGTH);
    await settlesAt(before);
  });

  it('goes with its last user when that is killed with transfers in flight', async () => {
    const before = kernelState();
    const stage: Stage = 'with transfers in flight';
    const child = fork(FILE, [stage], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const exited = once(child, 'exit');
    await once(child, 'message');
    const [removal] = await device.remove();
    child.kill('SIGKILL');
    assert.deepEqual(await exited, [null, 'SIGKILL']);
    assert.deepEqual(await removal, [0, null]);
    device.add();
    await settlesAt(before);
    openDevice(device.name).close();
  });

  it('is told of to all who wait at a listener and at endpoints, and the process can end', async () => {
    const before = kernelState();
    const child = fork(ENDPOINTS, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const exited = once(child, 'exit');
    const [ready] = (await once(child, 'message')) as [string];
    assert.equal(ready, 'ready');
    const telling = once(child, 'message') as Promise<[Told]>;
    const [removal] = await device.remove();
    const [{ server, client, receive, ...told }] = await telling;
    const gone = 'ERR_NO_RDMA_DEVICE';
    // One end is told of the device; the other too, or first that its peer has gone because of that.
    const broken = ['ERR_DISCONNECTED', gone];
    const orByPeer = [broken, ['ERR_DISCONNECTED']].map((codes) => codes.join());
    for (const codes of [server, client, receive]) assert.ok(orByPeer.includes(codes.join()), codes.join());
    assert.ok(
      [server, client].some((codes) => codes.join() === broken.join()),
      'both by their peer',
    );
    assert.deepEqual(told, {
      accept: [gone],
      iterate: [gone],
      connect: ['ENODEV'],
      // librdmacm's own, until the process ends.
      contexts: 1,
    });
    assert.deepEqual(await exited, [0, null]);
    assert.deepEqual(await removal, [0, null]);
    device.add();
    await settlesAt(before);
  });
});
