import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

/** The slab cache of the driver's watches; shared with others of its size unless the kernel runs with slab_nomerge. */
export const SLAB = '/sys/kernel/slab/ummunotify_range';

/** What the kernel holds for all processes together. */
export interface KernelState {
  /** Of the RDMA devices: contexts, protection domains, queues, queue pairs and memory regions of each. */
  objects: unknown;
  /** Pages that are pinned. */
  pinnedPages: number;
  /** Open files of the driver. */
  openFiles: number;
  /** Ranges that the driver watches; undefined where they cannot be told from other objects. */
  watches: number | undefined;
}

export function kernelState(): KernelState {
  const { status, stdout } = spawnSync('rdma', ['-j', 'resource', 'show'], { encoding: 'utf8' });
  assert.equal(status, 0);
  const devices = JSON.parse(stdout || '[]') as { ifindex: number }[];
  return {
    // A device that is made anew has another number.
    objects: devices.map((device) => ({ ...device, ifindex: undefined })),
    pinnedPages: pinnedPages(),
    ...driverState(),
  };
}

/** What the kernel holds for the driver alone. */
export function driverState(): Pick<KernelState, 'openFiles' | 'watches'> {
  const references = '/sys/module/ummunotify/refcnt';
  return {
    openFiles: existsSync(references) ? Number(readFileSync(references, 'latin1')) : 0,
    watches: watches(),
  };
}

/** Each processor counts for itself; reading stat_refresh adds them up. */
function pinnedPages(): number {
  readFileSync('/proc/sys/vm/stat_refresh');
  const statistics = readFileSync('/proc/vmstat', 'latin1');
  const count = (what: string): number =>
    Number(new RegExp(`^nr_foll_pin_${what} (\\d+)$`, 'm').exec(statistics)![1]);
  return count('acquired') - count('released');
}

function watches(): number | undefined {
  const merged = /\bslab_nomerge\b/.exec(readFileSync('/proc/cmdline', 'latin1')) === null;
  if (merged) return undefined;
  // Slabs that belong to a processor count as full: take them away from it.
  writeFileSync(`${SLAB}/shrink`, '1');
  return Number(/^\d+/.exec(readFileSync(`${SLAB}/objects`, 'latin1'))![0]);
}

/** Wait until the kernel holds no more than it did: some of it lets go a moment after the last user is gone. */
export async function settlesAt(expected: KernelState): Promise<void> {
  await becomes(kernelState, expected);
}

/** Wait until the driver holds nothing for anybody. */
export async function driverIsIdle(): Promise<void> {
  await becomes(driverState, { openFiles: 0, watches: driverState().watches === undefined ? undefined : 0 });
}

/** Of a busy machine; ms. */
const PATIENCE = 30_000;

async function becomes<State>(state: () => State, expected: State): Promise<void> {
  const start = performance.now();
  let is = state();
  for (; !isDeepStrictEqual(is, expected) && performance.now() - start < PATIENCE; is = state())
    await delay(100);
  assert.deepEqual(is, expected);
}
