/**
 * A process that runs out of descriptors: it leaves itself none, then one, then two and so on, and each
 * time tries to open, use and close all there is. Prints what it was refused, as JSON.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import { RegcacheError } from '../../src/errors.js';
import { map, PAGE_SIZE } from '../../src/system/mapping.js';
import { openDevice } from '../../src/verbs/device.js';

export interface Refusal {
  code: string;
  syscall: string | undefined;
}

export interface Starved {
  refusals: Refusal[];
  /** With how much room it went through. */
  enough: number;
}

const memory = map(4 * PAGE_SIZE);

/** Everything that takes a descriptor. */
function useAll(): void {
  using context = openDevice();
  using pd = context.createProtectionDomain();
  using cq = context.createCompletionQueue({ events: true });
  using qp = pd.createQueuePair({ sendQueue: cq });
  qp.toInit();
  using cache = createCache(pd, { monitor: 'ummunotify', checking: true });
  using one = cache.acquireRange(memory, PAGE_SIZE);
  using two = cache.acquireRange(memory, 2 * PAGE_SIZE, Access.LOCAL_WRITE | Access.REMOTE_READ);
  assert.notEqual(one.lkey, two.lkey);
}

/** Takes one after the other until there is none; each is given back by a call. */
function takeAll(): (() => void)[] {
  const taken: (() => void)[] = [];
  try {
    for (;;) {
      const fd = openSync('/dev/null', 'r');
      taken.push(() => {
        closeSync(fd);
      });
    }
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE');
    return taken;
  }
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;
const pinned = (): string => /^VmPin:.*$/m.exec(readFileSync('/proc/self/status', 'latin1'))![0];

function starve(): Starved {
  // Libraries are loaded, and pools of memory filled.
  useAll();
  const atFirst = { files: openFiles(), pinned: pinned() };
  const refusals: Refusal[] = [];
  for (let room = 0; room < 100; room++) {
    const taken = takeAll();
    let refused: unknown;
    try {
      for (const giveBack of taken.splice(taken.length - room)) giveBack();
      useAll();
    } catch (error) {
      refused = error;
    } finally {
      for (const giveBack of taken) giveBack();
    }
    assert.deepEqual({ files: openFiles(), pinned: pinned() }, atFirst, `with room for ${room}`);
    if (refused === undefined) return { refusals, enough: room };
    assert.ok(refused instanceof RegcacheError, `with room for ${room}: ${(refused as Error).stack!}`);
    assert.ok(refused.message.length > refused.code.length + 2);
    refusals.push({ code: refused.code, syscall: refused.syscall });
    // It works when there is room.
    useAll();
  }
  throw new Error('100 descriptors are not enough');
}

export const FILE = fileURLToPath(import.meta.url);
if (process.argv[1] === FILE) console.log(JSON.stringify(starve()));
