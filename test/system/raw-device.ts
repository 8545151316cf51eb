import assert from 'node:assert/strict';
import koffi from 'koffi';
import {
  DEVICE_PATH,
  EVENT,
  EVENT_FLAG_HINT,
  EVENT_TYPE_LAST,
  REGISTER,
  UMMUNOTIFY_EXCHANGE_FEATURES,
  UMMUNOTIFY_REGISTER_REGION,
  UMMUNOTIFY_UNREGISTER_REGION,
} from '../../src/monitor/ummunotify-abi.js';
import {
  close,
  errno,
  ioctl,
  MAP_SHARED,
  mmap,
  munmap,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  open,
  PROT_READ,
} from '../../src/system/libc.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';

const libc = koffi.load(null);
const readRaw = libc.func('intptr_t read(int fd, uintptr_t buffer, size_t length)');
const pollRaw = libc.func('int poll(void *fds, unsigned long count, int timeout)');
const POLLIN = 1;

export type Event =
  | { type: 'INVAL'; cookie: bigint; start: number; end: number; hint: boolean }
  | { type: 'LAST'; counter: number };

/** The driver without anything of ours in between: every call as the kernel answers it. */
export class RawDevice {
  readonly fd: number;
  readonly #page: number;
  readonly #counter: BigUint64Array;

  constructor(flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC) {
    this.fd = open(DEVICE_PATH, flags);
    assert.notEqual(this.fd, -1, `open: errno ${errno()}`);
    this.#page = mmap(0, PAGE_SIZE, PROT_READ, MAP_SHARED, this.fd, 0);
    assert.notEqual(this.#page, -1, `mmap: errno ${errno()}`);
    this.#counter = new BigUint64Array(koffi.view(BigInt(this.#page), 8));
  }

  get counter(): number {
    return Number(this.#counter[0]);
  }

  /** The errno of an ioctl, 0 when it succeeded. */
  control(request: number, argument: Buffer): number {
    return ioctl(this.fd, request, argument) === 0 ? 0 : errno();
  }

  register(start: number, end: number, cookie: bigint, flags = 0, reserved = 0): number {
    const argument = Buffer.alloc(REGISTER.SIZE);
    argument.writeBigUInt64LE(BigInt(start), REGISTER.START);
    argument.writeBigUInt64LE(BigInt(end), REGISTER.END);
    argument.writeBigUInt64LE(cookie, REGISTER.COOKIE);
    argument.writeUInt32LE(flags, REGISTER.FLAGS);
    argument.writeUInt32LE(reserved, REGISTER.RESERVED);
    return this.control(UMMUNOTIFY_REGISTER_REGION, argument);
  }

  unregister(cookie: bigint): number {
    const argument = Buffer.alloc(8);
    argument.writeBigUInt64LE(cookie);
    return this.control(UMMUNOTIFY_UNREGISTER_REGION, argument);
  }

  /** Errno, or the features granted. */
  exchange(word: number): { errno: number; granted: number } {
    const argument = Buffer.alloc(4);
    argument.writeUInt32LE(word);
    const error = this.control(UMMUNOTIFY_EXCHANGE_FEATURES, argument);
    return { errno: error, granted: argument.readUInt32LE() };
  }

  /** One read of at most `bytes`; the errno when it fails. */
  read(bytes: number = PAGE_SIZE): Event[] | number {
    const buffer = Buffer.alloc(bytes);
    const got = readRaw(this.fd, Number(koffi.address(buffer)), bytes) as number;
    if (got === -1) return errno();
    assert.equal(got % EVENT.SIZE, 0, 'whole events only');
    return decode(buffer.subarray(0, got));
  }

  /** One read on another thread, so that it may block. */
  readBlocking(bytes: number = PAGE_SIZE): Promise<Event[]> {
    const buffer = Buffer.alloc(bytes);
    return new Promise((resolve, reject) => {
      readRaw.async(this.fd, Number(koffi.address(buffer)), bytes, (error: Error | null, got: number) => {
        if (error !== null || got < 0) reject(error ?? new Error('read failed'));
        else resolve(decode(buffer.subarray(0, got)));
      });
    });
  }

  /** read(2) into any address; what it returns, or the errno negated. */
  readInto(address: number, bytes: number): number {
    const got = readRaw(this.fd, address, bytes) as number;
    return got === -1 ? -errno() : got;
  }

  /** Whether poll(2) says that a read would not block. */
  get readable(): boolean {
    const argument = Buffer.alloc(8);
    argument.writeInt32LE(this.fd, 0);
    argument.writeInt16LE(POLLIN, 4);
    const ready = pollRaw(argument, 1, 0) as number;
    assert.notEqual(ready, -1);
    return (argument.readInt16LE(6) & POLLIN) !== 0;
  }

  close(): void {
    munmap(this.#page, PAGE_SIZE);
    close(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function decode(buffer: Buffer): Event[] {
  const events: Event[] = [];
  for (let at = 0; at < buffer.length; at += EVENT.SIZE) {
    const last = buffer.readBigUInt64LE(at + EVENT.COOKIE_OR_COUNTER);
    if (buffer.readUInt32LE(at + EVENT.TYPE) === EVENT_TYPE_LAST) {
      events.push({ type: 'LAST', counter: Number(last) });
    } else {
      events.push({
        type: 'INVAL',
        cookie: last,
        start: Number(buffer.readBigUInt64LE(at + EVENT.HINT_START)),
        end: Number(buffer.readBigUInt64LE(at + EVENT.HINT_END)),
        hint: (buffer.readUInt32LE(at + EVENT.FLAGS) & EVENT_FLAG_HINT) !== 0,
      });
    }
  }
  return events;
}

/** Write to every page, so that there is something to invalidate. */
export function touch(address: number, length: number): void {
  bytesAt(address, length).fill(1);
}
