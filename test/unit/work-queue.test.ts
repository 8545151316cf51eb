import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { RegistrationCache } from '../../src/cache/cache.js';
import type { Registration } from '../../src/cache/registration.js';
import { receiveTask } from '../../src/endpoint/tasks.js';
import { Tickets } from '../../src/endpoint/tickets.js';
import { WorkQueue } from '../../src/endpoint/work-queue.js';
import { regcacheError } from '../../src/errors.js';
import { ReceiveRequests } from '../../src/verbs/work-request.js';

/** A buffer so large that another thread registers it, in a queue; it is registered when the test says so. */
function whileItIsRegistered() {
  const seen = { posts: 0, releases: 0 };
  const registration = { release: () => seen.releases++ } as unknown as Registration;
  let end!: { resolve: (registration: Registration) => void; reject: (reason: Error) => void };
  const acquired = new Promise<Registration>((resolve, reject) => (end = { resolve, reject }));
  const queue = new WorkQueue({
    cache: { acquireAsync: () => acquired } as unknown as RegistrationCache,
    tickets: new Tickets(),
    depth: 1,
    list: new ReceiveRequests(1),
    abortsPosted: false,
    post: () => seen.posts++,
    broken: (error) => {
      throw error;
    },
  });
  const controller = new AbortController();
  const [done] = queue.submit([receiveTask(Buffer.alloc(2 ** 20))], controller.signal);
  return {
    queue,
    done,
    controller,
    seen,
    registered: () => {
      end.resolve(registration);
    },
    refused: () => {
      end.reject(new Error('no memory'));
    },
    /** Whether the queue is idle, by now. */
    isIdle: async (): Promise<boolean> => {
      let idle = false;
      void queue.idle().then(() => (idle = true));
      await turn();
      return idle;
    },
  };
}

describe('endpoint: what ends while another thread registers its memory', () => {
  it('is outstanding until that is over, when it is aborted', async () => {
    for (const outcome of ['registered', 'refused'] as const) {
      const { controller, done, isIdle, seen, ...ends } = whileItIsRegistered();
      controller.abort();
      await assert.rejects(done, { name: 'AbortError' });
      assert.equal(await isIdle(), false);
      ends[outcome]();
      assert.equal(await isIdle(), true);
      assert.deepEqual(seen, { posts: 0, releases: outcome === 'registered' ? 1 : 0 });
    }
  });

  it('is outstanding until that is over, when the connection ends', async () => {
    const { queue, done, isIdle, seen, registered } = whileItIsRegistered();
    queue.end(regcacheError('ERR_DISCONNECTED', 'gone'));
    await assert.rejects(done, { code: 'ERR_DISCONNECTED' });
    assert.equal(await isIdle(), false);
    registered();
    assert.equal(await isIdle(), true);
    assert.deepEqual(seen, { posts: 0, releases: 1 });
  });

  it('is outstanding no longer when the device does not let go of what it has', async () => {
    const { queue, isIdle } = whileItIsRegistered();
    queue.end(regcacheError('ERR_DISCONNECTED', 'gone'));
    queue.abandon();
    assert.equal(await isIdle(), true);
  });
});
