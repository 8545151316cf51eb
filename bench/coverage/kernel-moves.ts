/** What the kernel does to pages by itself, or when it is told to; it leaves those alone that somebody pins. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { systemError } from '../../src/errors.js';
import { PagemapWitness } from '../../src/memory/pagemap.js';
import { close, E } from '../../src/system/libc.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import { type Calls, pointerTo } from '../system-calls.js';
import { MESSAGE_BYTES, type Place } from './kinds-of-memory.js';
import { MADV_PAGEOUT } from '../mapping-flags.js';

const MADV_MERGEABLE = 12;
const MPOL_BIND = 2;
const MPOL_MF_MOVE = 2;
const NODES = '/sys/devices/system/node';
const KSM = '/sys/kernel/mm/ksm';
/** Until pages are merged; ms. */
const KSM_LIMIT = 12_000;

/** Frames of the pages behind those that are sent, and registered. */
function others({ address, length }: Place): BigUint64Array {
  const witness = new PagemapWitness();
  try {
    return witness.frames(address + MESSAGE_BYTES, address + length);
  } finally {
    witness.close();
  }
}

/** Make a change of the whole mapping. That the kernel does so at all is shown by those pages that nobody pins. */
export function mustReachOthers(place: Place, change: () => void): void {
  const before = others(place);
  change();
  const after = others(place);
  if (before.every((frame, n) => frame === after[n])) throw systemError(E.EAGAIN, 'change');
}

/** To swap space, which bench/coverage/machine.ts looks for. */
export function pageOut(place: Place, { libc }: Calls): void {
  needSwap();
  mustReachOthers(place, () => {
    libc('madvise', place.address, place.length, MADV_PAGEOUT);
  });
}

export function processPageOut(place: Place, calls: Calls): void {
  needSwap();
  mustReachOthers(place, () => {
    processMadvise(place, calls, MADV_PAGEOUT);
  });
}

/** The file's first line is a heading. */
function needSwap(): void {
  if (readFileSync('/proc/swaps', 'latin1').trim().split('\n').length < 2) {
    throw systemError(E.ENODEV, 'swapon');
  }
}

export function processMadvise({ address, length }: Place, { raw }: Calls, advice: number): void {
  const process_ = raw('pidfd_open', process.pid, 0);
  const range = BigUint64Array.of(BigInt(address), BigInt(length));
  try {
    raw('process_madvise', process_, pointerTo(range), 1, advice, 0);
  } finally {
    close(process_);
  }
}

/**
 * Wait until pages share frames that nobody pins: those behind the message have few different contents. Copies of the
 * message have the kernel try to merge it, too.
 */
export function mergeSamePages(place: Place, { libc }: Calls): void {
  const { address, length } = place;
  const file = (name: string): string => `${KSM}/${name}`;
  if (!existsSync(KSM)) throw systemError(E.ENOSYS, 'madvise');
  bytesAt(address + MESSAGE_BYTES, MESSAGE_BYTES).set(bytesAt(address, MESSAGE_BYTES));
  libc('madvise', address, length, MADV_MERGEABLE);
  const was = readFileSync(file('run'), 'latin1');
  writeFileSync(file('run'), '1');
  try {
    const scans = (): number => Number(readFileSync(file('full_scans'), 'latin1'));
    waitUntil(() => new Set(others(place)).size < (length - MESSAGE_BYTES) / PAGE_SIZE);
    // One that begins now comes to the message.
    const next = scans() + 2;
    waitUntil(() => scans() >= next);
  } finally {
    writeFileSync(file('run'), was);
  }
}

/** Without the event loop, which would give the monitor a turn. */
function waitUntil(isSo: () => boolean): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const end = Date.now() + KSM_LIMIT; !isSo(); Atomics.wait(pause, 0, 0, 20)) {
    if (Date.now() > end) throw systemError(E.ETIMEDOUT, 'ksm');
  }
}

export function compact(): void {
  writeFileSync('/proc/sys/vm/compact_memory', '1');
}

/** Each page by its address. */
export function movePages(place: Place, calls: Calls): void {
  const pages = pagesOf(place);
  const nodes = Int32Array.from(pages, () => otherNode(place, calls));
  const status = new Int32Array(pages.length);
  mustReachOthers(place, () => {
    calls.raw(
      'move_pages',
      process.pid,
      pages.length,
      pointerTo(pages),
      pointerTo(nodes),
      pointerTo(status),
      MPOL_MF_MOVE,
    );
  });
}

/** All of the process. */
export function migratePages(place: Place, calls: Calls): void {
  const to = otherNode(place, calls);
  mustReachOthers(place, () => {
    calls.raw('migrate_pages', process.pid, 64, pointerTo(mask(1 - to)), pointerTo(mask(to)));
  });
}

/** By a policy for the range. */
export function bindToNode(place: Place, calls: Calls): void {
  const { address, length } = place;
  const nodes = mask(otherNode(place, calls));
  mustReachOthers(place, () => {
    calls.raw('mbind', address, length, MPOL_BIND, pointerTo(nodes), 64, MPOL_MF_MOVE);
  });
}

const pagesOf = ({ address, length }: Place): BigUint64Array =>
  BigUint64Array.from({ length: length / PAGE_SIZE }, (_, n) => BigInt(address + n * PAGE_SIZE));

const mask = (node: number): BigUint64Array => BigUint64Array.of(1n << BigInt(node));

/** The one of the first two nodes where the pages behind those that are sent are not. */
function otherNode(place: Place, { raw }: Calls): number {
  if (!existsSync(`${NODES}/node0`) || !existsSync(`${NODES}/node1`))
    throw systemError(E.ENODEV, 'move_pages');
  const last = pagesOf(place).slice(-1);
  const status = new Int32Array(1);
  raw('move_pages', process.pid, 1, pointerTo(last), 0, pointerTo(status), 0);
  if (status[0] < 0) throw systemError(-status[0], 'move_pages');
  return status[0] === 0 ? 1 : 0;
}
