import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { connect } from '../../src/endpoint/connect.js';
import { kernelState, settlesAt } from '../survival/kernel-state.js';
import { requireStack } from '../system/stack.js';
import { connectionsThatLeaveNothing, hostOfDevice } from './fixture.js';

const WORKERS = 3;

describe('a worker thread with endpoints', function () {
  this.timeout(120_000);
  requireStack();
  connectionsThatLeaveNothing();

  it('is_terminated_and_leaves_nothing', async () => {
    const before = kernelState();
    for (let n = 0; n < WORKERS; n++) {
      const worker = new Worker(new URL('worker.js', import.meta.url));
      await once(worker, 'message');
      assert.notDeepEqual(kernelState(), before);
      assert.equal(await worker.terminate(), 1);
      await settlesAt(before);
    }
  });

  it('is_terminated_when_it_has_just_been_asked_for_a_connection_and_leaves_nothing', async () => {
    const before = kernelState();
    for (let n = 0; n < WORKERS; n++) {
      const worker = new Worker(new URL('worker-asked.js', import.meta.url));
      const [port] = (await once(worker, 'message')) as [number];
      const controller = new AbortController();
      const asking = connect({ host: hostOfDevice(), port, signal: controller.signal });
      const asked = asking.catch(() => 'given up');
      assert.deepEqual(await once(worker, 'message'), ['asked']);
      await delay(200);
      assert.equal(await worker.terminate(), 1);
      controller.abort();
      assert.equal(await asked, 'given up');
      await settlesAt(before);
    }
  });
});
