import koffi from 'koffi';
import { systemError } from '../../src/errors.js';
import * as libc from '../../src/system/libc.js';

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
  remap_file_pages: [216, 234],
  fallocate: [285, 47],
  ftruncate: [77, 46],
  memfd_create: [319, 279],
  pidfd_open: [434, 434],
  process_madvise: [440, 440],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
} as const;
export type SystemCall = keyof typeof NUMBERS;

/** A call that does not succeed is an error, but for those that the caller expects. */
function succeed(name: string, result: number): number {
  if (result === -1) throw systemError(libc.errno(), name);
  return result;
}

/** A system call past libc, where no hook sees it; throws the system's error. */
export function raw(name: SystemCall, ...args: number[]): number {
  const [a = 0, b = 0, d = 0, e = 0, f = 0, g = 0] = args;
  return succeed(name, syscall(NUMBERS[name][process.arch === 'arm64' ? 1 : 0], a, b, d, e, f, g));
}

const BY_LIBC: Partial<Record<SystemCall, Call>> = {
  mmap: libc.mmap,
  munmap: libc.munmap,
  madvise: libc.madvise,
  mremap: declare('intptr_t mremap(uintptr_t, size_t, size_t, int, uintptr_t)'),
  shmat: declare('intptr_t shmat(int, uintptr_t, int)'),
  shmdt: declare('int shmdt(uintptr_t)'),
  brk: declare('int brk(uintptr_t)'),
};

export type Caller = (name: SystemCall, ...args: number[]) => number;

/** The same by libc's function of that name, where programs usually call one; throws the system's error. */
export const byLibc: Caller = (name, ...args) => {
  const call = BY_LIBC[name];
  return call === undefined ? raw(name, ...args) : succeed(name, call(...args));
};

export const sbrk = declare('intptr_t sbrk(intptr_t)');
export const malloc = declare('uintptr_t malloc(size_t)');
export const free = declare('void free(uintptr_t)');
export const shmget = (bytes: number): number => succeed('shmget', getSegment(0, bytes, 0o600));
export const removeSegment = (id: number): number => succeed('shmctl', controlSegment(id, 0, 0));
const getSegment = declare('int shmget(int, size_t, int)');
const controlSegment = declare('int shmctl(int, int, uintptr_t)');
const forkProcess = declare('int fork()');
const pause = declare('int pause()');
const kill = declare('int kill(int, int)');
const waitpid = declare('int waitpid(int, uintptr_t, int)');

/** A process that has a copy of all memory, and does nothing until {@link endFork}. */
export function forkIdle(): number {
  const pid = forkProcess();
  // Here there is no other thread of Node's any more: nothing but this call can be made.
  while (pid === 0) pause();
  return succeed('fork', pid);
}

export function endFork(pid: number): void {
  kill(pid, 9);
  waitpid(pid, 0, 0);
}
