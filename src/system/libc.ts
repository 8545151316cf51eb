import { constants as fs } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { type Native, offThread } from './off-thread.js';

/**
 * The handful of libc calls that Node does not offer, through koffi. Addresses and lengths are bytes, as plain
 * numbers below 2^53 (user addresses have at most 47 bits on x86-64 and 52 on arm64). All return -1 on failure,
 * the error number then being `errno()`, to be read right after the call.
 */
const libc = koffi.load(null);

type Call<Args extends unknown[]> = (...args: Args) => number;

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_FIXED_NOREPLACE = 0x100000;
export const { O_RDONLY, O_NONBLOCK } = fs;
export const O_CLOEXEC = 0o2000000;
/** Linux 5.14; madvise(2). */
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
export const MADV_DONTNEED = 4;
export const MS_ASYNC = 1;

export const E = constants.errno;

export const open: Call<[path: string, flags: number]> = libc.func(
  'int open(const char *path, int flags, ...)',
);
export const close: Call<[fd: number]> = libc.func('int close(int fd)');
/** read(2) into a Buffer; bytes read. */
export const read: Call<[fd: number, into: Buffer, length: number]> = libc.func(
  'intptr_t read(int fd, void *buffer, size_t length)',
);
/** ioctl(2) with a pointer argument. */
export const ioctl: Call<[fd: number, request: number, argument: Buffer]> = libc.func(
  'int ioctl(int fd, unsigned long request, void *argument)',
);
/** mmap(2); the address, or -1. */
export const mmap: Call<
  [address: number, length: number, prot: number, flags: number, fd: number, offset: number]
> = libc.func('intptr_t mmap(uintptr_t address, size_t length, int prot, int flags, int fd, int64_t offset)');
export const munmap: Call<[address: number, length: number]> = libc.func(
  'int munmap(uintptr_t address, size_t length)',
);
export const mprotect: Call<[address: number, length: number, prot: number]> = libc.func(
  'int mprotect(uintptr_t address, size_t length, int prot)',
);
export const madvise: Call<[address: number, length: number, advice: number]> = libc.func(
  'int madvise(uintptr_t address, size_t length, int advice)',
);
/** The same on another thread; whether it succeeded. */
export const madviseAsync = async (address: number, length: number, advice: number): Promise<boolean> =>
  (
    await offThread((done) => {
      (madvise as Native<[number, number, number]>).async(address, length, advice, done);
    })
  ).result === 0;
/** Of memory that is not mapped it says ENOMEM, and with MS_ASYNC it does nothing else. */
export const msync: Call<[address: number, length: number, flags: number]> = libc.func(
  'int msync(uintptr_t address, size_t length, int flags)',
);
/** fcntl(2) with a number. */
export const fcntl: Call<[fd: number, command: number, argument: number]> = libc.func(
  'int fcntl(int fd, int command, long argument)',
);
export const socket: Call<[domain: number, type: number, protocol: number]> = libc.func(
  'int socket(int domain, int type, int protocol)',
);
export const dup3: Call<[from: number, to: number, flags: number]> = libc.func(
  'int dup3(int from, int to, int flags)',
);
/** memcpy(3) from an address into a Buffer. */
export const copyFrom: (into: Buffer, address: number | bigint, length: number) => void = libc.func(
  'void memcpy(void *into, uintptr_t address, size_t length)',
);
const sysconf: Call<[name: number]> = libc.func('long sysconf(int name)');

/** Error number of the last failed call; read it before any other call. */
export const errno = (): number => koffi.errno();

const SC_PAGESIZE = 30; // _SC_PAGESIZE, the same on glibc and musl

/** Bytes in a page of this system: 4 KiB on x86-64; 4, 16 or 64 KiB on arm64. A power of two. */
export const PAGE_SIZE: number = sysconf(SC_PAGESIZE);
