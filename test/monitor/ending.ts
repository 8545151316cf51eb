import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { held } from './held.js';
import { type Activity, EXIT_CODE, type Kind, runProcess, startWorker } from './thread-end.js';

/** What a worker does when it is terminated, and how many such workers there are in a row. */
const ROWS: readonly [Activity, number][] = [
  ['idle', 3],
  ['draining', 5],
  ['called back', 5],
];

/** A thread or a process that closes nothing leaves nothing behind, and comes to its end. */
export function ending(kind: Kind): void {
  describe(`${kind}: without closing anything`, () => {
    for (const [activity, count] of ROWS) {
      it(`a worker thread leaves nothing behind, terminated while ${activity}, ${count} in a row`, async () => {
        // What is loaded with the first stays.
        await (await startWorker({ kind, activity: 'idle' })).terminate();
        const before = held();
        for (let n = 0; n < count; n++) {
          const worker = await startWorker({ kind, activity });
          assert.notDeepEqual(held(), before);
          await delay(n);
          assert.equal(await worker.terminate(), 1);
          assert.deepEqual(held(), before);
        }
      });
    }

    for (const [how, code] of [
      ['process.exit', EXIT_CODE],
      ['uncaught error', 1],
    ] as const) {
      it(`a process in a storm of events ends by ${how}`, async () => {
        for (let n = 0; n < 3; n++) {
          assert.deepEqual(await runProcess({ kind, activity: 'idle', ending: how }), [code, null]);
        }
      });
    }

    it('a process in a storm of events ends when it is killed', async () => {
      assert.deepEqual(await runProcess({ kind, activity: 'draining' }, 'SIGKILL'), [null, 'SIGKILL']);
    });
  });
}
