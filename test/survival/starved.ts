/**
 * A process that runs out of descriptors or of mappings: it leaves itself hardly any, then one more and so on, and each
 * time tries to open, use and close all there is. Prints what it was refused, as JSON.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import { RegcacheError } from '../../src/errors.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { PROT_NONE, PROT_READ } from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { openDevice } from '../../src/verbs/device.js';
import { collectGarbage } from '../garbage.js';

export interface Refusal {
  code: string;
  syscall: string | undefined;
  message: string;
}

export interface Starved {
  refusals: Refusal[];
  /** With how much room it went through. */
  enough: number;
}

const memory = map(4 * PAGE_SIZE);

/** Everything that takes a descriptor or a mapping. */
function useAll(): void {
  using monitor = new UmmunotifyMonitor();
  using context = openDevice();
  using pd = context.createProtectionDomain();
  using cq = context.createCompletionQueue({ events: true });
  using qp = pd.createQueuePair({ sendQueue: cq });
  qp.toInit();
  using cache = createCache(pd, { monitor, checking: true });
  using one = cache.acquireRange(memory, PAGE_SIZE);
  using two = cache.acquireRange(memory, 2 * PAGE_SIZE, Access.LOCAL_WRITE | Access.REMOTE_READ);
  assert.notEqual(one.lkey, two.lkey);
}

type GiveBack = () => void;

interface Resource {
  /** Takes one; it is given back by a call. @throws when there is none */
  take: () => GiveBack;
  /** What `take` says then. */
  code: string;
  /** How many are left at first. */
  leastRoom: number;
}

let mapped = 0;

const RESOURCES = {
  descriptors: {
    take() {
      const fd = openSync('/dev/null', 'r');
      return () => {
        closeSync(fd);
      };
    },
    code: 'EMFILE',
    leastRoom: 0,
  },
  /** Of which the kernel counts 65,530 for a process, vm.max_map_count. */
  mappings: {
    take() {
      // Neighbours with the same rights would be one.
      const page = map(PAGE_SIZE, { prot: mapped++ % 2 === 0 ? PROT_READ : PROT_NONE });
      return () => {
        unmap(page, PAGE_SIZE);
      };
    },
    code: 'ENOMEM',
    // When an ArrayBuffer has no room, V8 collects garbage, for which it takes room itself, or ends the process.
    leastRoom: 1,
  },
} satisfies Record<string, Resource>;

export type ResourceName = keyof typeof RESOURCES;

const openFiles = (): number => readdirSync('/proc/self/fd').length;
const pinned = (): string => /^VmPin:.*$/m.exec(readFileSync('/proc/self/status', 'latin1'))![0];
const ofDevices = (): number => readFileSync('/proc/self/maps', 'latin1').match(/ \/dev\//g)?.length ?? 0;

/** What is mapped may wait for the garbage collector. */
async function settled<State>(state: () => State, expected: State): Promise<State> {
  for (let tries = 0; tries < 50 && !isDeepStrictEqual(state(), expected); tries++) {
    collectGarbage();
    await new Promise(setImmediate);
  }
  return state();
}

async function starve({ take, code, leastRoom }: Resource): Promise<Starved> {
  // Libraries are loaded, and pools of memory filled.
  useAll();
  const taken: GiveBack[] = [];
  const takeAll = (): void => {
    try {
      for (;;) taken.push(take());
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, code);
    }
  };
  const giveBack = (count: number): void => {
    for (const give of taken.splice(taken.length - count)) give();
  };
  const state = (): object => ({ files: openFiles(), pinned: pinned(), mapped: ofDevices() });
  const atFirst = state();
  const refusals: Refusal[] = [];
  for (let room = leastRoom; room < 100; room++) {
    takeAll();
    giveBack(room);
    let refused: unknown;
    try {
      useAll();
    } catch (error) {
      refused = error;
    } finally {
      giveBack(taken.length);
    }
    assert.deepEqual(await settled(state, atFirst), atFirst, `with room for ${room}`);
    if (refused === undefined) return { refusals, enough: room };
    assert.ok(refused instanceof RegcacheError, `with room for ${room}: ${(refused as Error).stack!}`);
    assert.ok(refused.message.length > refused.code.length + 2);
    refusals.push({ code: refused.code, syscall: refused.syscall, message: refused.message });
    // It works when there is room.
    useAll();
  }
  throw new Error('100 are not enough');
}

export const FILE = fileURLToPath(import.meta.url);
if (process.argv[1] === FILE) {
  console.log(JSON.stringify(await starve(RESOURCES[process.argv[2] as ResourceName])));
}
