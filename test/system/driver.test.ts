import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import koffi from 'koffi';
import { DEVICE_PATH, UMMUNOTIFY_REGISTER_REGION } from '../../src/monitor/ummunotify-abi.js';
import {
  errno,
  MADV_DONTNEED,
  madvise,
  MAP_SHARED,
  mmap,
  munmap,
  O_CLOEXEC,
  O_RDONLY,
  open,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { mapApart, unmapApart } from '../map-apart.js';
import { RawDevice, touch, type Event } from './raw-device.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';

const { EACCES, EAGAIN, EINVAL, EFAULT, ENOTTY, ESPIPE } = constants.errno;
const O_WRONLY = 1;
const O_RDWR = 2;
const PAGES = 16;
const LENGTH = PAGES * PAGE_SIZE;
const lseek = koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)') as (
  ...args: number[]
) => number;

/** Cookies are opaque 64-bit numbers to the driver. */
const randomCookie = (): bigint => randomBytes(8).readBigUInt64LE();

describe('driver: /dev/ummunotify', () => {
  requireStack();
  pagesStay();

  let memory: number;
  const page = (n: number): number => memory + n * PAGE_SIZE;

  beforeEach(() => {
    memory = mapApart(LENGTH);
    touch(memory, LENGTH);
  });

  afterEach(() => {
    unmapApart(memory, LENGTH);
  });

  const zap = (first: number, pages = 1): void => {
    assert.equal(madvise(page(first), pages * PAGE_SIZE, MADV_DONTNEED), 0);
  };

  describe('open', () => {
    for (const [name, flags] of [
      ['O_WRONLY', O_WRONLY],
      ['O_RDWR', O_RDWR],
    ] as const) {
      it(`refuses ${name}`, () => {
        assert.equal(open(DEVICE_PATH, flags | O_CLOEXEC), -1);
        assert.equal(errno(), EINVAL);
      });
    }

    it('starts with a counter of 0 and nothing to read', () => {
      using device = new RawDevice();
      assert.equal(device.counter, 0);
      assert.equal(device.readable, false);
      assert.equal(device.read(), EAGAIN);
    });
  });

  describe('mmap', () => {
    const attempts: [string, number, number, number, number][] = [
      ['writable', PAGE_SIZE, PROT_READ | PROT_WRITE, 0, EACCES],
      ['of two pages', 2 * PAGE_SIZE, PROT_READ, 0, EINVAL],
      ['at another offset', PAGE_SIZE, PROT_READ, 3 * PAGE_SIZE, EINVAL],
    ];
    for (const [what, length, prot, offset, expected] of attempts) {
      it(`refuses a mapping ${what}`, () => {
        using device = new RawDevice();
        assert.equal(mmap(0, length, prot, MAP_SHARED, device.fd, offset), -1);
        assert.equal(errno(), expected);
      });
    }

    it('shows the same counter in every mapping', () => {
      using device = new RawDevice();
      const second = mmap(0, PAGE_SIZE, PROT_READ, MAP_SHARED, device.fd, 0);
      const view = new BigUint64Array(koffi.view(BigInt(second), 8));
      device.register(page(0), page(1), 1n);
      zap(0);
      assert.equal(view[0], 1n);
      munmap(second, PAGE_SIZE);
    });
  });

  describe('ioctl', () => {
    it('takes cookies once, and gives them back', () => {
      using device = new RawDevice();
      const cookie = randomCookie();
      assert.equal(device.register(page(0), page(1), cookie), 0);
      assert.equal(device.register(page(2), page(3), cookie), EINVAL);
      assert.equal(device.unregister(cookie), 0);
      assert.equal(device.unregister(cookie), EINVAL);
      assert.equal(device.register(page(2), page(3), cookie), 0);
    });

    it('takes the whole 64 bits for a cookie', () => {
      using device = new RawDevice();
      for (const cookie of [0n, 1n, 2n ** 63n, 2n ** 64n - 1n]) {
        assert.equal(device.register(page(0), page(1), cookie), 0);
      }
      zap(0);
      const events = device.read() as Event[];
      assert.deepEqual(
        new Set(events.flatMap((event) => (event.type === 'INVAL' ? [event.cookie] : []))),
        new Set([0n, 1n, 2n ** 63n, 2n ** 64n - 1n]),
      );
    });

    it('ignores garbage in flags and reserved', () => {
      using device = new RawDevice();
      assert.equal(device.register(page(0), page(1), 1n, 0xdeadbeef, 0xffffffff), 0);
      zap(0);
      assert.equal(device.counter, 1);
    });

    it('grants no feature to a word without the tag', () => {
      for (const word of [0, 1, 0xffff, 0xffffffff, 0x12345678]) {
        using device = new RawDevice();
        assert.deepEqual(device.exchange(word), { errno: 0, granted: 0 });
      }
    });

    it('exchanges features once, and first', () => {
      using device = new RawDevice();
      assert.equal(device.exchange(0).errno, 0);
      assert.equal(device.exchange(0).errno, EINVAL);
      using late = new RawDevice();
      late.register(page(0), page(1), 1n);
      assert.equal(late.exchange(0).errno, EINVAL);
      using read = new RawDevice();
      read.read();
      assert.equal(read.exchange(0).errno, EINVAL);
    });

    it('does not know any other', () => {
      using device = new RawDevice();
      for (const request of [0, 0x5501, 0x40085563, UMMUNOTIFY_REGISTER_REGION + 0x10000]) {
        assert.equal(device.control(request, Buffer.alloc(64)), ENOTTY);
      }
    });
  });

  describe('events', () => {
    it('umn-test: three pages watched, the middle one unmapped: one event, one LAST, and silence after unregister', () => {
      using device = new RawDevice();
      const cookie = randomCookie();
      assert.equal(device.register(page(0), page(3), cookie), 0);
      unmap(page(1), PAGE_SIZE);
      assert.equal(device.counter, 1);
      assert.deepEqual(device.read(), [
        { type: 'INVAL', cookie, start: page(1), end: page(2), hint: true },
        { type: 'LAST', counter: 1 },
      ]);
      assert.equal(device.read(), EAGAIN);
      assert.equal(device.unregister(cookie), 0);
      unmap(page(2), PAGE_SIZE);
      assert.equal(device.counter, 1);
      assert.equal(device.read(), EAGAIN);
    });

    it('reports a range once until it was read, and then again', () => {
      using device = new RawDevice();
      device.register(page(0), page(4), 7n);
      zap(0);
      zap(1);
      const [first] = device.read() as Event[];
      assert.deepEqual(first, { type: 'INVAL', cookie: 7n, start: page(0), end: page(4), hint: false });
      touch(page(2), PAGE_SIZE);
      zap(2);
      assert.deepEqual((device.read() as Event[])[0], {
        type: 'INVAL',
        cookie: 7n,
        start: page(2),
        end: page(3),
        hint: true,
      });
    });

    it('says nothing of an empty or reversed range', () => {
      using device = new RawDevice();
      assert.equal(device.register(page(1), page(1), 1n), 0);
      assert.equal(device.register(page(3), page(0), 2n), 0);
      zap(0, PAGES);
      assert.equal(device.counter, 0);
    });

    it('counts one step for a change that hits many ranges, and none for one that hits none', () => {
      using device = new RawDevice();
      for (let n = 0; n < 8; n++) device.register(page(n), page(n + 1), BigInt(n));
      zap(0, 8);
      assert.equal(device.counter, 1);
      zap(8, 8);
      assert.equal(device.counter, 1);
    });

    it('delivers LAST with the next read when the events fill the buffer', () => {
      using device = new RawDevice();
      const most = PAGE_SIZE / 32;
      for (let n = 0; n < most + 1; n++) device.register(page(0), page(1), BigInt(n));
      zap(0);
      const first = device.read(4 * PAGE_SIZE) as Event[];
      assert.equal(first.length, most, 'at most one page');
      assert.ok(first.every((event) => event.type === 'INVAL'));
      assert.equal(device.readable, true);
      assert.deepEqual(
        (device.read() as Event[]).map(({ type }) => type),
        ['INVAL', 'LAST'],
      );
      assert.equal(device.readable, false);
    });

    it('loses nothing to short reads', () => {
      using device = new RawDevice();
      for (let n = 0; n < 3; n++) device.register(page(n), page(n + 1), BigInt(n));
      zap(0, 3);
      assert.equal(device.read(31), EINVAL);
      const seen: Event[] = [];
      for (let n = 0; n < 4; n++) {
        const events = device.read(63) as Event[];
        assert.equal(events.length, 1);
        seen.push(...events);
      }
      assert.deepEqual(
        seen.map(({ type }) => type),
        ['INVAL', 'INVAL', 'INVAL', 'LAST'],
      );
      assert.equal(new Set(seen.map((event) => (event.type === 'INVAL' ? event.cookie : -1n))).size, 4);
    });

    it('loses nothing to a bad buffer', () => {
      using device = new RawDevice();
      for (let n = 0; n < 3; n++) device.register(page(n), page(n + 1), BigInt(n));
      zap(0, 3);
      const bad = map(PAGE_SIZE, { prot: PROT_NONE });
      assert.equal(device.readInto(bad, PAGE_SIZE), -EFAULT);
      unmap(bad, PAGE_SIZE);
      const events = device.read() as Event[];
      assert.deepEqual(
        events.map(({ type }) => type),
        ['INVAL', 'INVAL', 'INVAL', 'LAST'],
      );
    });

    it('leaves a LAST that carries the counter when the pending range is unregistered', () => {
      using device = new RawDevice();
      device.register(page(0), page(1), 1n);
      zap(0);
      device.unregister(1n);
      assert.equal(device.readable, true);
      assert.deepEqual(device.read(), [{ type: 'LAST', counter: 1 }]);
      assert.equal(device.read(), EAGAIN);
    });

    it('wakes a blocked read', async () => {
      using device = new RawDevice(O_RDONLY | O_CLOEXEC);
      device.register(page(0), page(1), 1n);
      const events = device.readBlocking();
      await new Promise((resolve) => setTimeout(resolve, 50));
      zap(0);
      assert.deepEqual(
        (await events).map(({ type }) => type),
        ['INVAL', 'LAST'],
      );
    });

    it('turns readable for poll', () => {
      using device = new RawDevice();
      device.register(page(0), page(1), 1n);
      assert.equal(device.readable, false);
      zap(0);
      assert.equal(device.readable, true);
      device.read();
      assert.equal(device.readable, false);
    });

    it('cannot be sought in', () => {
      using device = new RawDevice();
      assert.equal(lseek(device.fd, 0, 0), -1);
      assert.equal(errno(), ESPIPE);
    });

    it('keeps several open files apart', () => {
      using one = new RawDevice();
      using other = new RawDevice();
      one.register(page(0), page(1), 1n);
      other.register(page(1), page(2), 1n);
      zap(0);
      assert.deepEqual([one.counter, other.counter], [1, 0]);
    });

    it('is closed with ranges registered and events pending', () => {
      for (let round = 0; round < 50; round++) {
        const device = new RawDevice();
        for (let n = 0; n < PAGES; n++) device.register(page(n), page(n + 1), randomCookie());
        touch(memory, LENGTH);
        zap(0, PAGES);
        device.close();
        zap(0, PAGES);
      }
    });
  });
});
