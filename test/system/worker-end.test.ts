import assert from 'node:assert/strict';
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { needs } from '../needs.js';
import { type Activity, EXIT_CODE, FILE, type Orders, startWorker } from './worker-end.js';
import { heldOf } from './held.js';
import { requireStack } from './stack.js';

/** What a worker does when it is terminated, and how many such workers there are in a row. */
const ROWS: readonly [Activity, number][] = [
  ['idle', 2],
  ['holding', 2],
  ['acquiring', 10],
  ['transferring', 20],
  ['registering by another thread', 10],
];

/** What this process holds of the drivers, and what all processes hold of the RDMA devices. */
function held() {
  const { status, stdout } = spawnSync('rdma', ['-j', 'resource', 'show'], { encoding: 'utf8' });
  assert.equal(status, 0);
  return {
    pinned: /^VmPin:.*$/m.exec(readFileSync('/proc/self/status', 'latin1'))![0],
    ummunotify: heldOf('/dev/ummunotify'),
    verbs: heldOf('/dev/infiniband/'),
    events: heldOf('anon_inode:[infinibandevent]'),
    objects: JSON.parse(stdout) as unknown,
  };
}

describe('without closing anything', () => {
  requireStack();
  before(function () {
    needs(this, 'rdma', spawnSync('rdma', ['-V']).status === 0);
  });

  let atFirst: ReturnType<typeof held>;
  beforeEach(() => {
    atFirst = held();
  });
  afterEach(async () => {
    // The kernel lets go of some of it a moment after the last user is gone.
    for (let tries = 0; tries < 300 && !isDeepStrictEqual(held(), atFirst); tries++) await delay(100);
    assert.deepEqual(held(), atFirst);
  });

  describe('a worker thread leaves nothing behind', () => {
    for (const [activity, count] of ROWS) {
      it(`terminated while ${activity}, ${count} in a row`, async function () {
        this.timeout(600_000);
        for (let n = 0; n < count; n++) {
          const worker = startWorker({ activity, ending: 'none of its own' });
          await once(worker, 'message');
          if (n === 0) assert.notDeepEqual(held(), atFirst);
          await delay(n);
          assert.equal(await worker.terminate(), 1);
        }
      });
    }

    for (const [ending, code] of [
      ['process.exit', EXIT_CODE],
      ['uncaught error', 1],
      ['end of its work', 0],
    ] as const) {
      it(`that ends by ${ending}`, async () => {
        const worker = startWorker({ activity: 'holding', ending });
        const errors: unknown[] = [];
        worker.on('error', (error) => errors.push(error));
        assert.equal(await new Promise((resolve) => worker.on('exit', resolve)), code);
        assert.equal(errors.length, ending === 'uncaught error' ? 1 : 0);
      });
    }
  });

  describe('a process leaves nothing behind', () => {
    const start = async (orders: Orders) => {
      const child = fork(FILE, [JSON.stringify(orders)], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
      await once(child, 'message');
      return { child, exited };
    };

    for (const inWorker of [false, true]) {
      for (const activity of inWorker ? (['acquiring', 'transferring'] as const) : (['holding'] as const)) {
        const what = inWorker ? `with a worker that is ${activity}` : 'of one thread';
        for (const [ending, code] of [
          ['process.exit', EXIT_CODE],
          ['uncaught error', 1],
        ] as const) {
          it(`${what}, that ends by ${ending}`, async () => {
            const { exited } = await start({ activity, ending, inWorker });
            assert.deepEqual(await exited, [code, null]);
          });
        }

        it(`${what}, that is killed`, async () => {
          const { child, exited } = await start({ activity, ending: 'none of its own', inWorker });
          assert.notDeepEqual(held(), atFirst);
          child.kill('SIGKILL');
          assert.deepEqual(await exited, [null, 'SIGKILL']);
        });
      }
    }
  });
});
