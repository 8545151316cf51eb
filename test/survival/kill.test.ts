import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { requireStack } from '../system/stack.js';
import { kernelState, settlesAt, type KernelState } from './kernel-state.js';
import { FILE, STAGES, type Stage } from './victim.js';

/** What each stage must show before the kill, or its end would prove nothing. */
const HOLDS: Record<Stage, readonly (keyof KernelState)[]> = {
  'after opening the monitor': ['openFiles'],
  'after watching, with events to read': ['openFiles', 'watches'],
  'after registering, with registrations in use': ['openFiles', 'watches', 'objects', 'pinnedPages'],
  'with many registrations': ['openFiles', 'watches', 'objects', 'pinnedPages'],
  'with transfers in flight': ['openFiles', 'watches', 'objects', 'pinnedPages'],
  'while draining': ['openFiles', 'watches'],
  'while deregistering': ['openFiles', 'objects'],
  'with worker threads': ['openFiles', 'objects'],
};

describe('kill -9', function () {
  this.timeout(120_000);
  requireStack();

  let atFirst: KernelState;
  before(() => {
    atFirst = kernelState();
  });

  async function start(stage: Stage): Promise<{ child: ChildProcess; exited: Promise<unknown[]> }> {
    const child = fork(FILE, [stage], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const exited = once(child, 'exit');
    await once(child, 'message');
    return { child, exited };
  }

  for (const stage of Object.keys(STAGES) as Stage[]) {
    it(`${stage} leaves nothing in the kernel`, async () => {
      const { child, exited } = await start(stage);
      const alive = kernelState();
      for (const what of HOLDS[stage]) {
        if (alive[what] !== undefined) assert.notDeepEqual(alive[what], atFirst[what], what);
      }
      // So that it is not always in the same place.
      await delay(Math.random() * 20);
      child.kill('SIGKILL');
      assert.deepEqual(await exited, [null, 'SIGKILL']);
      await settlesAt(atFirst);
    });
  }
});
