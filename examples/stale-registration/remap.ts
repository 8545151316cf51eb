import koffi from 'koffi';
import { systemError } from '../../src/errors.js';
import {
  E,
  errno,
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { map, unmap } from '../../src/system/mapping.js';

/** A way to give an address range new pages. */
export interface Remap {
  name: string;
  /** Unmap `length` bytes at `address` and map zeroed memory there. */
  run(address: number, length: number): void;
}

const syscall = koffi
  .load(null)
  .func('long syscall(long number, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)') as (
  ...numbers: number[]
) => number;

/** System call numbers (asm/unistd_64.h, asm-generic/unistd.h). */
const { SYS_MMAP, SYS_MUNMAP } =
  process.arch === 'arm64' ? { SYS_MMAP: 222, SYS_MUNMAP: 215 } : { SYS_MMAP: 9, SYS_MUNMAP: 11 };

const PROT = PROT_READ | PROT_WRITE;
const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

export const REMAPS: readonly Remap[] = [
  {
    name: 'munmap + mmap, by libc',
    run(address, length) {
      unmap(address, length);
      map(length, { at: address });
    },
  },
  {
    // No malloc hook sees these: they never pass through a function that could be replaced.
    name: 'munmap + mmap, by raw system calls',
    run(address, length) {
      check('munmap', syscall(SYS_MUNMAP, address, length, 0, 0, 0, 0));
      const at = check('mmap', syscall(SYS_MMAP, address, length, PROT, FLAGS, -1, 0));
      // A kernel before 4.17 takes the flag for a mere hint.
      if (at !== address) throw systemError(E.EEXIST, 'mmap');
    },
  },
];

function check(name: string, result: number): number {
  if (result === -1) throw systemError(errno(), name);
  return result;
}
