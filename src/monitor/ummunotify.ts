import { closeSync, fstatSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { regcacheError, shown, systemError, type RegcacheError } from '../errors.js';
import { checkFunction, checkWhole, takeOptions } from '../options.js';
import { CollectedMapping } from '../system/collected-mapping.js';
import { E, errno, ioctl, O_NONBLOCK, O_RDONLY, PAGE_SIZE, read } from '../system/libc.js';
import { watchReadable, type ReadableWatch } from '../system/readable.js';
import { showToCaches } from './live-views.js';
import { checkSink, checkWatch, type DrainSink, type MemoryMonitor } from './monitor.js';
import {
  BATCH,
  DEVICE_PATH,
  EVENT,
  EVENT_TYPE_LAST,
  Feature,
  FEATURE_TAG,
  FEATURE_TAG_MASK,
  GENERATION_SLOTS,
  NO_SLOT,
  REGISTER,
  UMMUNOTIFY_EXCHANGE_FEATURES,
  UMMUNOTIFY_REGISTER_REGION,
  UMMUNOTIFY_UNREGISTER_BATCH,
  UMMUNOTIFY_UNREGISTER_REGION,
} from './ummunotify-abi.js';

const TWO_32 = 2 ** 32;

export interface UmmunotifyOptions {
  /** The device. @default '/dev/ummunotify' */
  path?: string;
  /**
   * Which extensions of the driver to use, as bits of Feature; those that it does not offer are done without.
   * TRANSLATION is right only where a fork does not part a pinned page from its owner (`Context.forkStatus` is
   * 'unneeded').
   * @default GENERATION and BATCH
   */
  features?: number;
}

/** What a closed monitor shows. */
const CLOSED_COUNTER = new Int32Array(2);

/**
 * The kernel's answer to "did any of these mappings change?": a counter in a page that this process can read.
 * One that is not closed ends with its worker thread, unless that was made with `trackUnmanagedFds: false`.
 */
export class UmmunotifyMonitor implements MemoryMonitor {
  readonly kind = 'ummunotify';
  /** The extensions in use, bits of Feature. */
  readonly features: number;
  readonly #path: string;
  #fd: number;
  readonly #mappings: CollectedMapping[] = [];
  #counter: Int32Array = CLOSED_COUNTER;
  #generations: Int32Array | undefined;
  readonly #events = Buffer.alloc(PAGE_SIZE);
  readonly #words = new Uint32Array(this.#events.buffer, this.#events.byteOffset, PAGE_SIZE / 4);
  readonly #argument = Buffer.alloc(REGISTER.SIZE);
  /** Cookies to unwatch with one call, before the next read; only while events are delivered. */
  readonly #batch: CookieBatch | undefined;
  #delivering = false;
  readonly #watches = new Set<ReadableWatch>();

  /**
   * Open the device and map its counter page.
   * @throws ERR_NO_MONITOR (no such device), ERR_MONITOR_ACCESS (no permission), ERR_INVALID_OPTION, or the system's
   *   error
   */
  constructor(options: UmmunotifyOptions = {}) {
    const { path = DEVICE_PATH, features = Feature.GENERATION | Feature.BATCH } = takeOptions(options, [
      'path',
      'features',
    ]);
    checkPath(path);
    checkWhole('features', features, 0, 0xffff);
    this.#path = path;
    this.#fd = openDevice(path);
    try {
      this.#counter = this.#map(0, 8, PAGE_SIZE);
      this.features = this.#exchange(features);
      if ((this.features & Feature.GENERATION) !== 0) {
        this.#generations = this.#map(PAGE_SIZE, GENERATION_SLOTS * 4, GENERATION_SLOTS * 4);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    if ((this.features & Feature.BATCH) !== 0) this.#batch = new CookieBatch();
    showToCaches(this, () => ({ counter: this.#counter, generations: this.#generations }));
  }

  /** Map `length` bytes of the device and look at the first `shown` of them. */
  #map(offset: number, shown: number, length: number): Int32Array {
    const mapping = new CollectedMapping(length);
    if (!mapping.show(this.#fd, offset)) {
      const error = errno();
      if (OF_OTHERS.has(error)) throw noneOfOurs(this.#path, 'mmap', error);
      const advice =
        error === E.ENOMEM ? 'this process may have no more mappings (sysctl vm.max_map_count)' : undefined;
      throw systemError(error, 'mmap', advice, { path: this.#path });
    }
    this.#mappings.push(mapping);
    return new Int32Array(mapping.view(shown));
  }

  /** Ask for extensions; those granted. */
  #exchange(wanted: number): number {
    // Also where none are wanted: another device's pages and reads would be taken for this one's.
    this.#argument.writeUInt32LE((FEATURE_TAG | wanted) >>> 0, 0);
    if (this.#control(UMMUNOTIFY_EXCHANGE_FEATURES) === -1) {
      const error = errno();
      const call = 'UMMUNOTIFY_EXCHANGE_FEATURES';
      if (OF_OTHERS.has(error)) throw noneOfOurs(this.#path, call, error);
      throw systemError(error, call, undefined, { path: this.#path });
    }
    const answer = this.#argument.readUInt32LE(0);
    return (answer & FEATURE_TAG_MASK) >>> 0 === FEATURE_TAG ? answer & ~FEATURE_TAG_MASK : 0;
  }

  /** @throws ENOSPC past the driver's `max_ranges`, ENOMEM, EINVAL for a cookie in use */
  watch(start: number, end: number, cookie: number, slot: number): true {
    this.#requireOpen();
    checkWatch(start, end, cookie);
    checkWhole('slot', slot, 0, Number.MAX_SAFE_INTEGER);
    const argument = this.#argument;
    putUint64(argument, REGISTER.START, start);
    putUint64(argument, REGISTER.END, end);
    putUint64(argument, REGISTER.COOKIE, cookie);
    argument.writeUInt32LE(0, REGISTER.FLAGS);
    argument.writeUInt32LE(slot < GENERATION_SLOTS ? slot : NO_SLOT, REGISTER.RESERVED);
    if (this.#control(UMMUNOTIFY_REGISTER_REGION) === -1) {
      const error = errno();
      throw systemError(error, 'UMMUNOTIFY_REGISTER_REGION', adviceOnWatch(error), {
        address: start,
        length: end - start,
        path: this.#path,
      });
    }
    return true;
  }

  unwatch(cookie: number): void {
    this.#requireOpen();
    if (!Number.isSafeInteger(cookie) || cookie < 0) checkWhole('cookie', cookie, 0, Number.MAX_SAFE_INTEGER);
    if (this.#delivering && this.#batch !== undefined) {
      // No drain reports it again: the batch goes to the driver before the next read.
      if (this.#batch.add(cookie) === BATCH.MAX) this.#unwatchBatch();
      return;
    }
    this.#unregister(cookie);
  }

  drain(sink: DrainSink): void {
    this.#requireOpen();
    checkSink(sink);
    // Sampled before the first read: every event counted up to here is then either read below or was read before,
    // so that the sample may be adopted when nothing is pending. The high half is read again to notice a carry.
    let high: number, low: number;
    do {
      high = Atomics.load(this.#counter, 1);
      low = Atomics.load(this.#counter, 0);
    } while (high !== Atomics.load(this.#counter, 1));

    for (;;) {
      const bytes = read(this.#fd, this.#events, PAGE_SIZE);
      if (bytes === -1) {
        const error = errno();
        if (error === E.EINTR) continue;
        if (error === E.EAGAIN) {
          sink.drainedTo(low, high);
          return;
        }
        throw systemError(error, 'read', adviceOnRead(error), { path: this.#path });
      }
      if (bytes === 0 || bytes % EVENT.SIZE !== 0) {
        throw regcacheError('ERR_MONITOR_PROTOCOL', `read ${bytes} bytes, no whole number of events`, {
          syscall: 'read',
          path: this.#path,
        });
      }
      if (this.#deliver(bytes, sink)) return;
    }
  }

  /** Hand `bytes` of events to the sink; true when they ended in LAST. */
  #deliver(bytes: number, sink: DrainSink): boolean {
    const words = this.#words;
    let end = bytes;
    let last = -1;
    if (words[(bytes - EVENT.SIZE + EVENT.TYPE) / 4] === EVENT_TYPE_LAST) {
      end -= EVENT.SIZE;
      last = (end + EVENT.COOKIE_OR_COUNTER) / 4;
    }
    this.#delivering = true;
    try {
      for (let offset = 0; offset < end; offset += EVENT.SIZE) {
        sink.invalidated(
          getUint64(this.#events, offset + EVENT.COOKIE_OR_COUNTER),
          getUint64(this.#events, offset + EVENT.HINT_START),
          getUint64(this.#events, offset + EVENT.HINT_END),
        );
      }
    } finally {
      this.#delivering = false;
      this.#unwatchBatch();
    }
    if (last === -1) return false;
    sink.drainedTo(words[last] | 0, words[last + 1] | 0);
    return true;
  }

  #unwatchBatch(): void {
    if (this.#batch === undefined) return;
    const { count, cookies } = this.#batch.take();
    if (count === 0) return;
    putUint64(this.#argument, BATCH.COOKIES, this.#batch.address);
    this.#argument.writeUInt32LE(count, BATCH.COUNT);
    this.#argument.writeUInt32LE(0, BATCH.RESERVED);
    if (this.#control(UMMUNOTIFY_UNREGISTER_BATCH) !== -1) return;
    // No memory for the copy of the batch, say: one by one needs none.
    for (let i = 0; i < count; i++) this.#unregister(getUint64(cookies, i * 8));
  }

  #unregister(cookie: number): void {
    putUint64(this.#argument, 0, cookie);
    if (this.#control(UMMUNOTIFY_UNREGISTER_REGION) === -1) {
      throw systemError(errno(), 'UMMUNOTIFY_UNREGISTER_REGION', undefined, { path: this.#path });
    }
  }

  whenPending(callback: () => void): () => void {
    this.#requireOpen();
    checkFunction('callback', callback);
    const watch = watchReadable(this.#fd, callback);
    watch.unref();
    this.#watches.add(watch);
    return () => {
      if (this.#watches.delete(watch)) watch.close();
    };
  }

  close(): void {
    if (this.#fd === -1) return;
    // The event loop must forget the descriptor before its number can belong to another file.
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    this.#counter = CLOSED_COUNTER;
    this.#generations = undefined;
    for (const mapping of this.#mappings.splice(0)) mapping.release();
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** ioctl(2) with the argument buffer, again after a signal. */
  #control(request: number): number {
    let result: number;
    do result = ioctl(this.#fd, request, this.#argument);
    while (result === -1 && errno() === E.EINTR);
    return result;
  }

  #requireOpen(): void {
    if (this.#fd === -1) throw regcacheError('ERR_CLOSED', 'the monitor was closed');
  }
}

/** Cookies that were reported, to be unregistered together; an event page never holds more than it has room for. */
class CookieBatch {
  #count = 0;
  readonly #cookies = Buffer.alloc(BATCH.MAX * 8);
  readonly address = Number(koffi.address(this.#cookies));

  /** @returns how many there are now; at most BATCH.MAX fit */
  add(cookie: number): number {
    putUint64(this.#cookies, this.#count * 8, cookie);
    return ++this.#count;
  }

  /** The cookies, which are forgotten; valid until the next one is added. */
  take(): { count: number; cookies: Buffer } {
    const count = this.#count;
    this.#count = 0;
    return { count, cookies: this.#cookies };
  }
}

/**
 * By Node, which closes what a worker opened when the worker ends. Close-on-exec, as Node opens everything: the events
 * of this process are nobody else's. Non-blocking: a drain must end.
 */
function openDevice(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    throw errno === undefined ? error : cannotOpen(path, -errno);
  }
  // A file can be mapped, too, and what lies past its end ends whoever looks at it (SIGBUS).
  if (fstatSync(fd).isCharacterDevice()) return fd;
  closeSync(fd);
  throw noneOfOurs(path, 'open');
}

function checkPath(path: string): void {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return;
  throw regcacheError('ERR_INVALID_OPTION', `option path is the path of a device, not ${shown(path)}`);
}

/** What other devices answer to calls that they do not know, and this one, just opened, to none. */
const OF_OTHERS: ReadonlySet<number> = new Set([E.ENODEV, E.ENOTTY, E.EINVAL]);

const noneOfOurs = (path: string, syscall: string, error?: number): RegcacheError =>
  regcacheError('ERR_NO_MONITOR', `${path} is not an ummunotify device`, {
    ...(error === undefined ? {} : { errno: error }),
    syscall,
    path,
    advice: `name the right one in RDMA_REGCACHE_DEVICE, or leave it out for ${DEVICE_PATH}`,
  });

function cannotOpen(path: string, error: number): RegcacheError {
  const details = { errno: error, syscall: 'open', path };
  switch (error) {
    case E.ENOENT:
    case E.ENODEV:
    case E.ENXIO:
      return regcacheError('ERR_NO_MONITOR', `there is no ${path}`, {
        ...details,
        advice:
          (path === DEVICE_PATH
            ? ''
            : `the device is ${DEVICE_PATH} unless RDMA_REGCACHE_DEVICE names another: unset it, or `) +
          'load the kernel module (sudo modprobe ummunotify), or build and install it ' +
          '(npx rdma-regcache module install)',
      });
    case E.EACCES:
    case E.EPERM:
      return regcacheError('ERR_MONITOR_ACCESS', `no permission to open ${path}`, {
        ...details,
        advice:
          `its mode should be 0666 (sudo chmod 0666 ${path}, or install the udev rule); ` +
          'in a container the device must be passed in',
      });
    default:
      return systemError(error, 'open', undefined, { path });
  }
}

function adviceOnWatch(error: number): string | undefined {
  switch (error) {
    case E.ENOSPC:
      return "as many ranges are watched as the module's parameter max_ranges allows; raise it or lower the cache's limits";
    case E.EIO:
      return FORKED;
    default:
      return undefined;
  }
}

const adviceOnRead = (error: number): string | undefined => (error === E.EIO ? FORKED : undefined);

const FORKED = 'the device was opened by another process (a fork before exec); open a monitor of your own';

function putUint64(into: Buffer, offset: number, value: number): void {
  into.writeUInt32LE(value % TWO_32, offset);
  into.writeUInt32LE(Math.floor(value / TWO_32), offset + 4);
}

function getUint64(from: Buffer, offset: number): number {
  return from.readUInt32LE(offset) + from.readUInt32LE(offset + 4) * TWO_32;
}
