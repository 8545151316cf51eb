import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { createCache } from '../../src/create-cache.js';
import { map, unmap } from '../../src/system/mapping.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { PAGE_SIZE, Side } from '../system/verbs-fixture.js';
import { kernelState, settlesAt, type KernelState } from './kernel-state.js';
import { FILE, LIMIT, MUCH, type Refused, type Way } from './memory-hoarder.js';

const CGROUPS = '/sys/fs/cgroup';
const GROUP = join(CGROUPS, 'regcache-memory-limit');

/** Bytes. */
const STEP = 1 << 20;

const set = (file: string, value: string | number): void => {
  writeFileSync(join(GROUP, file), String(value));
};
const events = (name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(readFileSync(join(GROUP, 'memory.events'), 'latin1'))![1]);

describe("a process at the limit of its control group's memory", function () {
  this.timeout(180_000);
  requireStack();

  let atFirst: KernelState;
  before(function () {
    needs(this, 'root');
    const controllers = join(CGROUPS, 'cgroup.controllers');
    const present = existsSync(controllers) && /\bmemory\b/.test(readFileSync(controllers, 'latin1'));
    needs(this, 'a memory controller', present);
    writeFileSync(join(CGROUPS, 'cgroup.subtree_control'), '+memory');
    atFirst = kernelState();
  });
  beforeEach(() => {
    mkdirSync(GROUP);
  });
  afterEach(async () => {
    await settlesAt(atFirst);
    rmdirSync(GROUP);
  });

  /** @param toBeKilled whether the kernel may */
  async function hoard(way: Way, toBeKilled: boolean) {
    const child = fork(FILE, [way], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    // What it says may be read after it has gone.
    const exited = once(child, 'close') as Promise<[number | null, string | null]>;
    let refused: Refused | null = null;
    const ready = once(child, 'message').then(() => undefined);
    assert.equal(await Promise.race([ready, exited]), undefined, 'it ended before it was ready');
    child.on('message', (message) => (refused = message as Refused | null));
    set('cgroup.procs', child.pid!);
    set('memory.max', LIMIT);
    if (!toBeKilled) writeFileSync(`/proc/${child.pid}/oom_score_adj`, '-1000');
    child.send('go');
    // What is refused in a call waits for room anywhere else: a little more, each time, never enough for the call.
    let limit = LIMIT;
    let seen = 0;
    const raising = setInterval(() => {
      const now = events('oom');
      if (toBeKilled || now === seen || limit + STEP >= MUCH) return;
      seen = now;
      set('memory.max', (limit += STEP));
    }, 200);
    const exit = await exited;
    clearInterval(raising);
    return { exit, refused: refused as Refused | null };
  }

  /** Others register and are not held up. */
  function othersGoOn(): void {
    const side = new Side();
    const cache = createCache(side.pd);
    const memory = map(16 * PAGE_SIZE);
    cache.acquireRange(memory, 16 * PAGE_SIZE).release();
    cache.close();
    unmap(memory, 16 * PAGE_SIZE);
    side.close();
  }

  it('is ended alone, with all that it had registered', async () => {
    const { exit } = await hoard('page by page', true);
    assert.deepEqual(exit, [null, 'SIGKILL']);
    assert.equal(events('oom_kill'), 1);
    othersGoOn();
  });

  it('is told so where the kernel may not end it, has lost nothing, and goes on', async () => {
    const { exit, refused } = await hoard('at once', false);
    assert.deepEqual(exit, [0, null]);
    assert.equal(events('oom_kill'), 0);
    assert.ok(events('oom') > 0);
    assert.equal(refused!.code, 'ENOMEM');
    assert.equal(refused!.errno, -constants.errno.ENOMEM);
    assert.match(refused!.message, /no room for the range's pages.*memory\.max/);
    othersGoOn();
  });
});
