import koffi from 'koffi';
import { systemError } from '../src/errors.js';
import { addressOf, type Memory } from '../src/memory/locate.js';
import * as libc from '../src/system/libc.js';

type Call = (...numbers: number[]) => number;

const c = koffi.load(null);
const declare = (prototype: string): Call => c.func(prototype) as Call;
const syscall = declare(
  'intptr_t syscall(long number, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t)',
);

/** System call numbers (asm/unistd_64.h, asm-generic/unistd.h). */
const NUMBERS = {
  mmap: [9, 222],
  munmap: [11, 215],
  mremap: [25, 216],
  madvise: [28, 233],
  shmat: [30, 196],
  shmdt: [67, 197],
  brk: [12, 214],
  mprotect: [10, 226],
  remap_file_pages: [216, 234],
  fallocate: [285, 47],
  ftruncate: [77, 46],
  memfd_create: [319, 279],
  pidfd_open: [434, 434],
  process_madvise: [440, 440],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  ioctl: [16, 29],
  userfaultfd: [323, 282],
  move_pages: [279, 239],
  migrate_pages: [256, 238],
  mbind: [237, 235],
} as const;
export type SystemCall = keyof typeof NUMBERS;

/** What the last calls were given addresses of: nobody else may hold it while they use it. */
const passed: Memory[] = [];
const CALL_ARGUMENTS = 16;

/** Address of memory that the next call reads or writes. */
export function pointerTo(memory: Memory): number {
  passed.push(memory);
  if (passed.length > CALL_ARGUMENTS) passed.shift();
  return addressOf(memory);
}

/** A call that does not succeed is an error, but for those that the caller expects. */
function succeed(name: string, result: number): number {
  if (result === -1) throw systemError(libc.errno(), name);
  return result;
}

export const numberOf = (name: SystemCall): number => NUMBERS[name][process.arch === 'arm64' ? 1 : 0];

/** Makes a system call and throws the system's error. */
export type Caller = (name: SystemCall, ...args: number[]) => number;

/** The two ways to make a system call. */
export interface Calls {
  /** By libc's function of that name, where programs usually call one. */
  readonly libc: Caller;
  /** Past libc, where no hook sees it. */
  readonly raw: Caller;
}

export const raw: Caller = (name, ...args) => {
  const [a = 0, b = 0, d = 0, e = 0, f = 0, g = 0] = args;
  return succeed(name, syscall(numberOf(name), a, b, d, e, f, g));
};

/** libc's functions, and how many bits their results have. */
const BY_LIBC: Partial<Record<SystemCall, readonly [call: Call, bits: 32 | 64]>> = {
  mmap: [libc.mmap, 64],
  munmap: [libc.munmap, 32],
  madvise: [libc.madvise, 32],
  mremap: [declare('intptr_t mremap(uintptr_t, size_t, size_t, int, uintptr_t)'), 64],
  shmat: [declare('intptr_t shmat(int, uintptr_t, int)'), 64],
  shmdt: [declare('int shmdt(uintptr_t)'), 32],
  brk: [declare('int brk(uintptr_t)'), 32],
};

/** Bits of the result of libc's function of that name; undefined when none is used. */
export const libcBits = (name: SystemCall): 32 | 64 | undefined => BY_LIBC[name]?.[1];

export const byLibc: Caller = (name, ...args) => {
  const call = BY_LIBC[name]?.[0];
  return call === undefined ? raw(name, ...args) : succeed(name, call(...args));
};

/** By the thread that asks for it. */
export const HERE: Calls = { libc: byLibc, raw };

export const sbrk = declare('intptr_t sbrk(intptr_t)');
export const malloc = declare('uintptr_t malloc(size_t)');
export const free = declare('void free(uintptr_t)');
export const shmget = (bytes: number): number => succeed('shmget', getSegment(0, bytes, 0o600));
export const removeSegment = (id: number): number => succeed('shmctl', controlSegment(id, 0, 0));
const getSegment = declare('int shmget(int, size_t, int)');
const controlSegment = declare('int shmctl(int, int, uintptr_t)');
