/**
 * A process that runs out of descriptors, or of mappings: it leaves itself none, then one, then two and so on, and each
 * time tries to open, use and close all there is. Prints what it was refused, as JSON.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import { RegcacheError } from '../../src/errors.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { PROT_NONE, PROT_READ } from '../../src/system/libc.js';
import { openDevice } from '../../src/verbs/device.js';

export type Scarce = 'descriptors' | 'mappings';

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

/** Everything that takes a descriptor or a mapping. */
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

/** Takes one after the other until there is none; to be given back by calling them. */
const TAKE: Record<Scarce, (n: number) => () => void> = {
  descriptors() {
    const fd = openSync('/dev/null', 'r');
    return () => {
      closeSync(fd);
    };
  },
  mappings(n) {
    // Neighbours with the same rights would become one.
    const address = map(PAGE_SIZE, { prot: n % 2 === 0 ? PROT_NONE : PROT_READ });
    return () => {
      unmap(address, PAGE_SIZE);
    };
  },
};

function takeAll(what: Scarce): (() => void)[] {
  const taken: (() => void)[] = [];
  try {
    for (;;) taken.push(TAKE[what](taken.length));
  } catch (error) {
    assert.match((error as NodeJS.ErrnoException).code!, /^(EMFILE|ENOMEM)$/);
    return taken;
  }
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;
const pinned = (): string => /^VmPin:.*$/m.exec(readFileSync('/proc/self/status', 'latin1'))![0];

function starve(what: Scarce): Starved {
  // Libraries are loaded, and pools of memory filled.
  useAll();
  const atFirst = { files: openFiles(), pinned: pinned() };
  const refusals: Refusal[] = [];
  for (let room = 0; room < 100; room++) {
    const taken = takeAll(what);
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
  throw new Error(`100 ${what} are not enough`);
}

export const FILE = fileURLToPath(import.meta.url);
if (process.argv[1] === FILE) console.log(JSON.stringify(starve(process.argv[2] as Scarce)));
