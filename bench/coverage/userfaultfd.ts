/** Pages that move from one mapping into another, with UFFDIO_MOVE of Linux 6.8. */
import { RegcacheError } from '../../src/errors.js';
import { close, MADV_DONTNEED, O_CLOEXEC } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { UFFDIO_REGISTER } from '../../src/monitor/userfaultfd-abi.js';
import { type Calls, pointerTo } from '../system-calls.js';
import type { Place } from './kinds-of-memory.js';
import { mustReachOthers } from './kernel-moves.js';

// linux/userfaultfd.h
const UFFD = 0xaan;
const UFFDIO_API = 0xc018aa3f;
const FEATURE_MOVE = 1n << 16n;
const MODE_MISSING = 1n;
/** `_IOWR(0xAA, 0x05, struct uffdio_move)` */
const UFFDIO_MOVE = 0xc028aa05;

/** Moves pages onto addresses of a mapping where nothing is. */
type MovePages = (to: number, from: number, length: number) => void;

/** @param target where pages will be moved to */
function withMoving({ raw }: Calls, target: number, length: number, run: (move: MovePages) => void): void {
  const fd = raw('userfaultfd', O_CLOEXEC);
  const control = (request: number, ...words: bigint[]): void => {
    raw('ioctl', fd, request, pointerTo(BigUint64Array.from(words)));
  };
  try {
    control(UFFDIO_API, UFFD, FEATURE_MOVE, 0n);
    control(UFFDIO_REGISTER, BigInt(target), BigInt(length), MODE_MISSING, 0n);
    run((to, from, bytes) => {
      control(UFFDIO_MOVE, BigInt(to), BigInt(from), BigInt(bytes), 0n, 0n);
    });
  } finally {
    close(fd);
  }
}

/** The range's own pages go elsewhere, as far as nobody pins them. */
export function movePagesAway(place: Place, calls: Calls): void {
  const { address, length } = place;
  const target = map(length);
  try {
    withMoving(calls, target, length, (move) => {
      mustReachOthers(place, () => {
        for (let at = 0; at < length; at += PAGE_SIZE) {
          try {
            move(target + at, address + at, PAGE_SIZE);
          } catch (error) {
            if (!(error instanceof RegcacheError && error.code === 'EBUSY')) throw error;
          }
        }
      });
    });
  } finally {
    unmap(target, length);
  }
}

/** Others take their place. */
export function movePagesOnto({ address, length }: Place, calls: Calls): void {
  const source = map(length);
  try {
    bytesAt(source, length).fill('moved; ');
    withMoving(calls, address, length, (move) => {
      calls.raw('madvise', address, length, MADV_DONTNEED);
      move(address, source, length);
    });
  } finally {
    unmap(source, length);
  }
}
