import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { createCache } from '../../src/create-cache.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { addressOf } from '../../src/memory/locate.js';
import {
  MADV_DONTNEED,
  madvise,
  MAP_SHARED,
  mprotect,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { Access } from '../../src/access.js';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';
import { completions, connectedPair, type Side } from './verbs-fixture.js';

const libc = koffi.load(null);
const mremap = libc.func('intptr_t mremap(uintptr_t from, size_t was, size_t is, int flags, ...)') as (
  ...args: unknown[]
) => number;
const fallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as (
  ...args: number[]
) => number;
const MREMAP_MAYMOVE_FIXED = 3;
const PUNCH_HOLE_KEEP_SIZE = 3;

const PAGES = 4;
const LENGTH = PAGES * PAGE_SIZE;

describe('cache over the real driver and a real device', () => {
  requireStack();
  pagesStay();

  let pair: { a: Side; b: Side; [Symbol.dispose](): void };
  let cache: RegistrationCache;
  let inbox: Buffer;

  before(() => {
    pair = connectedPair();
    inbox = pair.b.memory(LENGTH).bytes;
  });

  after(() => {
    pair[Symbol.dispose]();
  });

  beforeEach(() => {
    cache = createCache(pair.a.pd);
  });

  afterEach(() => {
    cache.close();
    assert.equal(pinnedKilobytes(), (PAGES * PAGE_SIZE) / 1024, 'only the inbox is pinned');
  });

  /** What the receiver gets when the memory is sent through the cache. */
  async function sent(address: number): Promise<Buffer> {
    const { a, b } = pair;
    inbox.fill(0);
    const into = b.pd.register(addressOf(inbox), LENGTH, Access.LOCAL_WRITE);
    const registration = cache.acquireRange(address, LENGTH);
    try {
      b.qp.postReceive(new ReceiveRequests().receive(1, addressOf(inbox), LENGTH, into.lkey));
      a.qp.postSend(new SendRequests().send(2, address, LENGTH, registration.lkey));
      await completions(a.cq, 1);
      const [{ byteLength }] = await completions(b.cq, 1);
      return Buffer.from(inbox.subarray(0, byteLength));
    } finally {
      registration.release();
      into.close();
    }
  }

  /** Send, change the mapping, fill it anew, send again: the receiver must get what is there now. */
  async function assertFreshAfter(address: number, change: () => void): Promise<void> {
    const bytes = bytesAt(address, LENGTH);
    bytes.fill('old');
    assert.deepEqual(await sent(address), bytes);
    await sent(address);
    assert.equal(cache.statistics().hits, 1);
    change();
    bytes.fill('new');
    assert.deepEqual(await sent(address), bytes);
    assert.equal(cache.statistics().invalidations, 1);
  }

  it('sends fresh bytes after munmap and mmap', async () => {
    const address = map(LENGTH);
    await assertFreshAfter(address, () => {
      unmap(address, LENGTH);
      map(LENGTH, { at: address });
    });
    unmap(address, LENGTH);
  });

  it('sends fresh bytes after mmap over the old mapping', async () => {
    const address = map(LENGTH);
    await assertFreshAfter(address, () => {
      map(LENGTH, { at: address, replace: true });
    });
    unmap(address, LENGTH);
  });

  it('sends fresh bytes after the middle page alone was replaced', async () => {
    const address = map(LENGTH);
    await assertFreshAfter(address, () => {
      map(PAGE_SIZE, { at: address + PAGE_SIZE, replace: true });
    });
    unmap(address, LENGTH);
  });

  it('sends fresh bytes after MADV_DONTNEED', async () => {
    const address = map(LENGTH);
    await assertFreshAfter(address, () => {
      assert.equal(madvise(address, LENGTH, MADV_DONTNEED), 0);
    });
    unmap(address, LENGTH);
  });

  it('sends fresh bytes after mremap moved other memory there', async () => {
    const address = map(LENGTH);
    const other = map(LENGTH);
    await assertFreshAfter(address, () => {
      assert.equal(mremap(other, LENGTH, LENGTH, MREMAP_MAYMOVE_FIXED, 'uintptr_t', address), address);
    });
    unmap(address, LENGTH);
  });

  for (const [who, punch] of [
    [
      'this process',
      (path: string) => withFile(path, (fd) => fallocate(fd, PUNCH_HOLE_KEEP_SIZE, 0, LENGTH)),
    ],
    [
      'another process',
      (path: string) =>
        execFileSync('fallocate', ['--punch-hole', '--offset', '0', '--length', String(LENGTH), path]),
    ],
  ] as const) {
    it(`sends fresh bytes after ${who} punched a hole in shared memory`, async () => {
      const folder = mkdtempSync('/dev/shm/regcache-');
      const path = join(folder, 'memory');
      writeFileSync(path, '');
      const fd = openSync(path, 'r+');
      try {
        ftruncateSync(fd, LENGTH);
        const address = map(LENGTH, { flags: MAP_SHARED, fd });
        await assertFreshAfter(address, () => void punch(path));
        unmap(address, LENGTH);
      } finally {
        closeSync(fd);
        rmSync(folder, { recursive: true });
      }
    });
  }

  it('sends what the parent wrote after a child process was spawned', async () => {
    const address = map(LENGTH);
    const bytes = bytesAt(address, LENGTH);
    bytes.fill('old');
    assert.deepEqual(await sent(address), bytes);
    assert.equal(spawnSync('true').status, 0);
    bytes.fill('new');
    assert.deepEqual(await sent(address), bytes);
    unmap(address, LENGTH);
  });

  it('registers memory that was never touched at the first attempt', () => {
    const address = map(256 * PAGE_SIZE);
    cache.acquireRange(address, 256 * PAGE_SIZE).release();
    const { registrations, unstable } = cache.statistics();
    assert.deepEqual({ registrations, unstable }, { registrations: 1, unstable: 0 });
    unmap(address, 256 * PAGE_SIZE);
  });

  it('registers memory that was only read before, whose pages are copied first, at the second', () => {
    const address = map(256 * PAGE_SIZE);
    let sum = 0;
    for (let page = 0; page < 128; page++) sum += bytesAt(address + page * PAGE_SIZE, 1)[0];
    assert.equal(sum, 0);
    using registration = cache.acquireRange(address, 256 * PAGE_SIZE);
    const { registrations, unstable } = cache.statistics();
    assert.deepEqual({ registrations, unstable }, { registrations: 2, unstable: 1 });
    assert.equal(cache.acquireRange(address, 256 * PAGE_SIZE), registration);
    registration.release();
    unmap(address, 256 * PAGE_SIZE);
  });

  it('keeps hitting while memory that nobody registered comes and goes', () => {
    const address = map(LENGTH);
    cache.acquireRange(address, LENGTH).release();
    const { drains } = cache.statistics();
    for (let i = 0; i < 200; i++) {
      const other = map(LENGTH);
      bytesAt(other, LENGTH).fill(1);
      unmap(other, LENGTH);
      cache.acquireRange(address, LENGTH).release();
    }
    const after = cache.statistics();
    assert.equal(after.hits, 200);
    assert.equal(after.drains, drains);
    unmap(address, LENGTH);
  });

  it('unpins from the event loop what was unmapped while the cache was idle', async () => {
    const address = map(LENGTH);
    cache.acquireRange(address, LENGTH).release();
    const before = pinnedKilobytes();
    unmap(address, LENGTH);
    const deadline = Date.now() + 10_000;
    while (cache.statistics().registered > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(cache.statistics().registered, 0);
    assert.equal(pinnedKilobytes(), before - LENGTH / 1024);
  });

  it('goes stale in use: reported, kept until the release, never handed out again', async () => {
    const address = map(LENGTH);
    const held = cache.acquireRange(address, LENGTH);
    const reported = new Promise((resolve) => cache.once('stale', resolve));
    map(LENGTH, { at: address, replace: true });
    assert.equal(await reported, held);
    assert.equal(held.stale, true);
    const next = cache.acquireRange(address, LENGTH);
    assert.notEqual(next.lkey, held.lkey);
    held.release();
    next.release();
    unmap(address, LENGTH);
  });

  it('registers Buffers, pooled ones and those of SharedArrayBuffers too', () => {
    for (const memory of [
      Buffer.from('pooled'),
      Buffer.alloc(100_000),
      new Uint8Array(new SharedArrayBuffer(64)),
      new DataView(new ArrayBuffer(64), 8),
      new ArrayBuffer(1),
      new SharedArrayBuffer(10),
    ]) {
      using registration = cache.acquire(memory);
      const address = addressOf(memory);
      assert.ok(registration.address <= address);
      assert.ok(registration.address + registration.length >= address + memory.byteLength);
    }
  });

  describe('refuses, and leaks nothing', () => {
    it('memory that is not mapped', () => {
      const address = map(LENGTH);
      unmap(address + PAGE_SIZE, PAGE_SIZE);
      assert.throws(() => cache.acquireRange(address, LENGTH), { code: 'ERR_NOT_MAPPED', address });
      unmap(address, LENGTH);
      assert.throws(() => cache.acquireRange(address, LENGTH), { code: 'ERR_NOT_MAPPED' });
    });

    it('memory that was registered once and is not mapped any more', () => {
      const address = map(LENGTH);
      cache.acquireRange(address, LENGTH).release();
      unmap(address, LENGTH);
      assert.throws(() => cache.acquireRange(address, LENGTH), { code: 'ERR_NOT_MAPPED' });
    });

    it('write access to read-only memory, which may be read all the same', () => {
      const address = map(LENGTH);
      bytesAt(address, LENGTH).fill('x');
      mprotect(address, LENGTH, PROT_READ);
      assert.throws(() => cache.acquireRange(address, LENGTH), { code: 'ERR_READ_ONLY_MEMORY', address });
      cache.acquireRange(address, LENGTH, Access.NONE).release();
      assert.equal(cache.statistics().registered, 1);
      mprotect(address, LENGTH, PROT_READ | PROT_WRITE);
      cache.acquireRange(address, LENGTH).release();
      unmap(address, LENGTH);
    });

    it('memory that may not be touched at all', () => {
      const address = map(LENGTH, { prot: PROT_NONE });
      assert.throws(() => cache.acquireRange(address, LENGTH, Access.NONE), { code: 'ERR_NOT_MAPPED' });
      unmap(address, LENGTH);
    });

    it('a file mapping past the end of its file', () => {
      const folder = mkdtempSync(join(tmpdir(), 'regcache-'));
      const fd = openSync(join(folder, 'short'), 'w+');
      ftruncateSync(fd, PAGE_SIZE);
      const address = map(LENGTH, { flags: MAP_SHARED, fd });
      assert.throws(() => cache.acquireRange(address, LENGTH), { code: 'ERR_NOT_MAPPED' });
      unmap(address, LENGTH);
      closeSync(fd);
      rmSync(folder, { recursive: true });
    });

    it('use after close', () => {
      cache.close();
      assert.throws(() => cache.acquire(Buffer.alloc(10)), { code: 'ERR_CLOSED' });
    });

    it('closing the protection domain before the cache', () => {
      const pd = pair.a.context.createProtectionDomain();
      const other = createCache(pd);
      other.acquire(Buffer.alloc(LENGTH)).release();
      assert.throws(
        () => {
          pd.close();
        },
        { code: 'ERR_BUSY' },
      );
      other.close();
      pd.close();
    });
  });
});

function withFile<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r+');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** What RDMA has pinned for this process, as the kernel counts it. */
function pinnedKilobytes(): number {
  return Number(/^VmPin:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]);
}
