// An application that has registrations cached, and what its own doings cost it. Nobody registers anything.
//
// node --expose-gc application.js WATCHER REGISTRATIONS
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { RegistrationCache } from '../../src/cache/cache.js';
import {
  MADV_POPULATE_WRITE,
  madvise,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { answer } from '../answer.js';
import { free, malloc } from '../system-calls.js';
import { endFork, forkIdle } from '../coverage/idle-process.js';
import { nullRegistrar } from '../hit/null.js';
import { openWatcher, type Watcher } from '../monitors.js';
import { mapScattered, mapSmallPages, STRIDE } from '../small-pages.js';

const [watcher, asked] = process.argv.slice(2) as [Watcher, string];
const registrations = Number(asked);

const BLOCK = 65_536;
const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
/** Registered pages that will be unmapped. */
const UNMAPPED = Math.min(registrations, 200);
/** Blocks that are allocated at a time. */
const HELD = 64;
const LARGEST = 262_144;

const memory = mapScattered(registrations, UNMAPPED, FLAGS);
const cache = new RegistrationCache({
  monitor: openWatcher(watcher),
  registrar: nullRegistrar,
  maxRegistrations: registrations,
  eagerDrain: false,
  deregisterFor: Infinity,
});
const keeps = watcher !== 'none';
const cached = fill();

function fill(): number {
  for (let i = 0; i < registrations; i++) cache.acquireRange(memory + i * STRIDE, PAGE_SIZE).release();
  const { registered } = cache.statistics();
  assert.equal(registered, keeps ? registrations : 0, 'not all are cached');
  return registered;
}

/** Microseconds for each of so many. */
function timeEach(count: number, act: (i: number) => void): number {
  const before = performance.now();
  for (let i = 0; i < count; i++) act(i);
  return ((performance.now() - before) * 1000) / count;
}

/** Pages elsewhere, which nobody watches. */
function mapAndUnmap(): void {
  const address = mmap(0, BLOCK, PROT_READ | PROT_WRITE, FLAGS, -1, 0);
  madvise(address, BLOCK, MADV_POPULATE_WRITE);
  assert.equal(munmap(address, BLOCK), 0);
}

/** Those of registered memory, which is then mapped and cached again; only the unmapping is timed. */
function unmapRegistered(count: number): number {
  const { invalidations } = cache.statistics();
  let spent = 0;
  for (let i = 0; i < count; i++) {
    const page = memory + (i % UNMAPPED) * STRIDE;
    madvise(page, PAGE_SIZE, MADV_POPULATE_WRITE);
    const before = performance.now();
    unmap(page, PAGE_SIZE);
    spent += performance.now() - before;
    mapSmallPages(PAGE_SIZE, { at: page, flags: FLAGS });
    cache.acquireRange(page, PAGE_SIZE).release();
  }
  const hit = cache.statistics().invalidations - invalidations;
  assert.equal(hit, keeps ? count : 0, 'not what was unmapped was reported');
  return (spent * 1000) / count;
}

const blocks = new Array<number>(HELD).fill(0);

/** Sizes that spread evenly over their logarithms, in an order that does not repeat soon. */
function allocateAndFree(i: number): void {
  const at = (i * 29) % HELD;
  if (blocks[at] !== 0) free(blocks[at]);
  blocks[at] = malloc(LARGEST >> ((i * 7) % 12));
}

function freeBlocks(): void {
  for (const block of blocks.splice(0, HELD, ...new Array<number>(HELD).fill(0))) free(block);
}

function allocateBuffers(count: number): number {
  let last = Buffer.alloc(0);
  return timeEach(count, () => {
    last = Buffer.alloc(BLOCK);
    last[0] = 1;
  });
}

function run(): void {
  assert.equal(spawnSync('/bin/true').status, 0);
}

/** Only the call is timed, and not the end of the child. */
function fork(count: number): number {
  let spent = 0;
  for (let i = 0; i < count; i++) {
    const before = performance.now();
    const child = forkIdle();
    spent += performance.now() - before;
    endFork(child);
  }
  return (spent * 1000) / count;
}

/** None of them loses what is cached, but for what was unmapped, which is cached again. */
function leavingAll(measure: (count: number) => number): (count: number) => number {
  return (count) => {
    const spent = measure(count);
    cache.drain();
    assert.equal(cache.statistics().registered, cached, 'registrations were lost');
    return spent;
  };
}

await answer({
  cached: () => cached,
  map: leavingAll((count) => timeEach(count, mapAndUnmap)),
  unmap: leavingAll(unmapRegistered),
  malloc: leavingAll((count) => {
    const spent = timeEach(count, allocateAndFree);
    freeBlocks();
    return spent;
  }),
  buffer: leavingAll(allocateBuffers),
  spawn: leavingAll((count) => timeEach(count, run)),
  fork: leavingAll(fork),
});
