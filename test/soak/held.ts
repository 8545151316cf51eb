import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { findTool } from '../../native/vm/tool.js';
import { childrenOf } from '../../bench/coverage/waiting.js';

/** What this process, the device and the kernel hold. */
export interface Held {
  /** At the RDMA device, of all processes. */
  'memory regions': number;
  'queue pairs': number;
  'completion queues': number;
  'protection domains': number;
  /** Ranges in the driver's slab. Known where its slab is not merged with others (slab_nomerge). */
  watches: number | undefined;
  /** References to the driver's module: open files. */
  'driver files': number | undefined;
  /** VmPin and VmLck (proc(5)), KiB. */
  'pinned, KiB': number;
  'locked, KiB': number;
  /** Pages pinned for devices less those unpinned, by all processes (nr_foll_pin_*). */
  'pinned pages': number | undefined;
  'huge pages': number;
  'System V segments': number;
  descriptors: number;
  threads: number;
  children: number;
  mappings: number;
  'resident, KiB': number;
  'kernel slabs, KiB': number;
}

/** What need not come back exactly: heaps, of this process and of the kernel, keep free memory for later. */
export const MARGINS: Partial<Held> = {
  mappings: 100,
  'resident, KiB': 32 * 1024,
  'kernel slabs, KiB': 2 * 1024,
};

const DRIVER = '/sys/module/ummunotify/refcnt';
const SLABS = '/sys/kernel/slab';
const RANGES = 'ummunotify_range';
const STAT_REFRESH = '/proc/sys/vm/stat_refresh';

export function held(): Held {
  const status = readFileSync('/proc/self/status', 'latin1');
  const memory = readFileSync('/proc/meminfo', 'latin1');
  const device = atDevice();
  return {
    'memory regions': device.mr,
    'queue pairs': device.qp,
    'completion queues': device.cq,
    'protection domains': device.pd,
    watches: watches(),
    'driver files': existsSync(DRIVER) ? Number(readFileSync(DRIVER, 'latin1')) : undefined,
    'pinned, KiB': number(status, 'VmPin'),
    'locked, KiB': number(status, 'VmLck'),
    'pinned pages': pinnedPages(),
    'huge pages': number(memory, 'HugePages_Total') - number(memory, 'HugePages_Free'),
    'System V segments': readFileSync('/proc/sysvipc/shm', 'latin1').split('\n').length - 2,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: number(status, 'Threads'),
    children: childrenOf(process.pid).length,
    mappings: readFileSync('/proc/self/maps', 'latin1').split('\n').length,
    'resident, KiB': number(status, 'VmRSS'),
    'kernel slabs, KiB': number(memory, 'SUnreclaim'),
  };
}

function number(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)![1]);
}

interface AtDevice {
  mr: number;
  qp: number;
  cq: number;
  pd: number;
}

function atDevice(): AtDevice {
  const { stdout, status, stderr } = spawnSync(findTool('rdma'), ['-j', 'resource', 'show'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`rdma resource show failed: ${stderr}`);
  const devices = JSON.parse(stdout) as AtDevice[];
  const sum = (of: keyof AtDevice): number => devices.reduce((all, device) => all + device[of], 0);
  return { mr: sum('mr'), qp: sum('qp'), cq: sum('cq'), pd: sum('pd') };
}

function watches(): number | undefined {
  const slabs = (): string | undefined =>
    new RegExp(`^${RANGES}\\s+(\\d+)`, 'm').exec(readFileSync('/proc/slabinfo', 'latin1'))?.[1];
  if (!existsSync(join(SLABS, RANGES)) || slabs() === undefined) return undefined;
  // Objects of slabs that a processor has at hand count as used, until they are put back.
  shrink(RANGES);
  return Number(slabs());
}

function pinnedPages(): number | undefined {
  // Each processor counts for itself for a while.
  if (process.getuid?.() === 0) writeFileSync(STAT_REFRESH, '1');
  const counts = readFileSync('/proc/vmstat', 'latin1');
  const count = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(counts)?.[1]);
  const pinned = count('nr_foll_pin_acquired') - count('nr_foll_pin_released');
  return Number.isNaN(pinned) ? undefined : pinned;
}

/** Slabs that are empty go back to the kernel, and what a processor has at hand to the slabs; for root only. */
function shrink(slab: string): void {
  writeFileSync(join(SLABS, slab, 'shrink'), '1');
}

function shrinkAll(): void {
  if (process.getuid?.() !== 0 || !existsSync(SLABS)) return;
  // The links are other names of those that are merged.
  for (const entry of readdirSync(SLABS, { withFileTypes: true }))
    if (entry.isDirectory()) shrink(entry.name);
}

const trim = koffi.load(null).func('int malloc_trim(size_t keep)') as (keep: number) => number;

/** What this process has freed goes back to the kernel, and what the kernel has freed, to its pages. */
export function giveBack(collect: () => void): void {
  collect();
  trim(0);
  shrinkAll();
}

/**
 * For root only.
 * @returns gives back those that were not there before
 * @throws when the kernel has not that many
 */
export function provideHugePages(count: number): () => void {
  const setting = '/proc/sys/vm/nr_hugepages';
  const there = (): number => Number(readFileSync(setting, 'latin1'));
  const before = there();
  // A signal ends the kernel's search before it has all (a profiler's, say).
  for (let tries = 0; there() < count && tries < 10; tries++) writeFileSync(setting, String(count));
  const giveBack = (): void => {
    if (there() > before) writeFileSync(setting, String(before));
  };
  if (there() >= count) return giveBack;
  const found = there();
  giveBack();
  throw new Error(`there are ${found} huge pages, ${count} are needed`);
}
