import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { loadHelper } from '../../src/monitor/helper.js';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { MADV_DONTNEED, madvise, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { Zapper } from '../system/zapper-thread.js';
import { Stand } from './cache-on-top.js';
import { held, readers, watchedPages } from './held.js';
import { runInheriting } from './inheriting.js';
import { PipeDevice } from './pipe-device.js';
import { openFiltered } from './filtered.js';
import { viewsOf } from '../../src/monitor/live-views.js';

const libc = koffi.load(null);
type Call = (...args: number[]) => number;
const shmget = libc.func('int shmget(int key, size_t size, int flags)') as Call;
const shmat = libc.func('intptr_t shmat(int id, uintptr_t address, int flags)') as Call;
const shmdt = libc.func('int shmdt(uintptr_t address)') as Call;
const shmctl = libc.func('int shmctl(int id, int command, uintptr_t buffer)') as Call;
const mremap = libc.func(
  'intptr_t mremap(uintptr_t address, size_t before, size_t after, int flags, uintptr_t target)',
) as Call;

const IPC_CREAT = 0o1000;
const IPC_RMID = 0;
const FOREVER = 'usleep(200000)';

const silent = { invalidated: () => undefined, drainedTo: () => undefined };

/** What this kind of monitor has to itself. */
export function userfaultfdOwn(): void {
  describe('userfaultfd: its own', () => {
    let memory: number;
    const PAGES = 16;
    const page = (n: number): number => memory + n * PAGE_SIZE;
    beforeEach(() => {
      memory = map(PAGES * PAGE_SIZE);
      bytesAt(memory, PAGES * PAGE_SIZE).fill(1);
    });
    afterEach(() => {
      unmap(memory, PAGES * PAGE_SIZE);
    });

    it('leaves nothing watched that nobody watches, and gives all back', () => {
      const before = held();
      const monitor = new UserfaultfdMonitor();
      const pages = (): number => watchedPages() - before.pages;
      monitor.watch(page(0), page(8), 1);
      monitor.watch(page(4), page(6), 2);
      monitor.watch(page(5), page(12), 3);
      assert.equal(pages(), 12);
      monitor.unwatch(1);
      assert.equal(pages(), 8);
      map(PAGE_SIZE, { at: page(5), replace: true });
      assert.equal(pages(), 7);
      monitor.unwatch(3);
      assert.equal(pages(), 1);
      monitor.watch(page(0), page(6), 4);
      monitor.unwatch(2);
      assert.equal(pages(), 6);
      monitor.unwatch(4);
      assert.equal(pages(), 0);
      monitor.watch(page(0), page(8), 1);
      monitor.close();
      assert.deepEqual(held(), before);
    });

    it('takes nothing away from another one that watches what came in the place of its own', () => {
      using monitor = new UserfaultfdMonitor();
      using other = new UserfaultfdMonitor();
      monitor.watch(page(0), page(2), 1);
      map(PAGE_SIZE, { at: page(1), replace: true });
      assert.equal(other.watch(page(1), page(2), 1), true);
      monitor.unwatch(1);
      assert.equal(madvise(page(1), PAGE_SIZE, MADV_DONTNEED), 0);
      const seen: number[] = [];
      other.drain({ ...silent, invalidated: (cookie) => seen.push(cookie) });
      assert.deepEqual(seen, [1]);
    });

    it('lets nobody wait, once closed, for a process that holds it open', () => {
      assert.equal(runInheriting(), 'done');
    });

    it('does not go on watching a mapping that was moved', () => {
      using monitor = new UserfaultfdMonitor();
      monitor.watch(page(0), page(1), 1);
      const moved = map(PAGE_SIZE);
      assert.equal(mremap(page(0), PAGE_SIZE, PAGE_SIZE, 3, moved), moved);
      monitor.drain({
        ...silent,
        invalidated: (cookie) => {
          monitor.unwatch(cookie);
        },
      });
      assert.equal(watchedPages(), 0);
      unmap(moved, PAGE_SIZE);
    });

    describe('memory that it cannot watch is not kept registered', () => {
      const refused = async (address: number, length: number): Promise<void> => {
        using stand = new Stand(new UserfaultfdMonitor(), new PipeDevice());
        for (const what of ['first', 'second']) await stand.assertFresh(address, length / PAGE_SIZE, what);
        const { uncached, registered } = stand.cache.statistics();
        assert.deepEqual({ uncached, registered }, { uncached: 2, registered: 0 });
        using monitor = new UserfaultfdMonitor();
        assert.equal(monitor.watch(address, address + length, 1), false);
        assert.equal(watchedPages(), 0);
      };

      it('a private mapping of a file', async () => {
        const fd = openSync(process.execPath, 'r');
        const address = map(PAGE_SIZE, { fd, flags: MAP_PRIVATE, prot: PROT_READ | PROT_WRITE });
        closeSync(fd);
        await refused(address, PAGE_SIZE);
        // Together with memory that it can watch.
        assert.equal(
          map(PAGE_SIZE, {
            at: page(1),
            replace: true,
            fd: openSync(process.execPath, 'r'),
            flags: MAP_PRIVATE,
          }),
          page(1),
        );
        await refused(page(0), 3 * PAGE_SIZE);
        unmap(address, PAGE_SIZE);
      });

      it('a System V segment', async () => {
        const id = shmget(0, PAGE_SIZE, IPC_CREAT | 0o600);
        const address = shmat(id, 0, 0);
        assert.ok(address > 0);
        await refused(address, PAGE_SIZE);
        shmdt(address);
        shmctl(id, IPC_RMID, 0);
      });

      it('what another one watches', () => {
        using other = new UserfaultfdMonitor();
        using monitor = new UserfaultfdMonitor();
        assert.equal(other.watch(page(2), page(3), 1), true);
        assert.equal(monitor.watch(page(0), page(4), 1), false);
        assert.equal(watchedPages(), 1);
        other.unwatch(1);
        assert.equal(monitor.watch(page(0), page(4), 1), true);
      });

      it('a range with a hole', () => {
        using monitor = new UserfaultfdMonitor();
        unmap(page(1), PAGE_SIZE);
        assert.equal(monitor.watch(page(0), page(3), 1), false);
        assert.equal(monitor.watch(page(1), page(3), 2), false);
        assert.equal(monitor.watch(page(0), page(2), 3), false);
        assert.equal(watchedPages(), 0);
      });
    });

    describe('at the moments that are short (made long)', () => {
      it('waits for an event that has been read, and whose thread goes on, but has not been put up', async () => {
        const zapper = new Zapper(page(0), PAGE_SIZE);
        await zapper.ready();
        using monitor = new UserfaultfdMonitor({ helper: loadHelper([`-DAFTER_READ=${FOREVER}`]) });
        monitor.watch(page(0), page(1), 1);
        const before = viewsOf(monitor).counter[0];
        zapper.start();
        zapper.join();
        const seen: number[] = [];
        assert.notEqual(
          Atomics.load(viewsOf(monitor).counter, 0),
          before,
          'the counter has moved when the call returns',
        );
        monitor.drain({ ...silent, invalidated: (cookie) => seen.push(cookie) });
        assert.deepEqual(seen, [1]);
        await zapper.end();
      });

      it('waits for an event that is about to be read', async () => {
        const zapper = new Zapper(page(0), PAGE_SIZE);
        await zapper.ready();
        using monitor = new UserfaultfdMonitor({ helper: loadHelper([`-DBEFORE_READ=${FOREVER}`]) });
        monitor.watch(page(0), page(1), 1);
        const before = viewsOf(monitor).counter[0];
        zapper.start();
        while (Atomics.load(viewsOf(monitor).counter, 0) === before) continue;
        const seen: number[] = [];
        monitor.drain({ ...silent, invalidated: (cookie) => seen.push(cookie) });
        assert.deepEqual(seen, [1]);
        zapper.join();
        await zapper.end();
      });

      it('never serves a stale registration, and waits for no event twice', async () => {
        const zapper = new Zapper(page(0), PAGE_SIZE);
        await zapper.ready();
        using stand = new Stand(
          new UserfaultfdMonitor({ helper: loadHelper(['-DAFTER_READ=usleep(20000)']) }),
          new PipeDevice(),
        );
        for (let round = 0; round < 20; round++) {
          bytesAt(page(0), PAGE_SIZE).fill(`before ${round}; `);
          await stand.assertFresh(page(0), 1, `before ${round}`);
          zapper.start();
          zapper.join();
          bytesAt(page(0), PAGE_SIZE).fill(`after ${round}; `);
          await stand.assertFresh(page(0), 1, `after ${round}`);
        }
        await zapper.end();
      });
    });

    it('runs no signal handler in its thread', () => {
      using monitor = new UserfaultfdMonitor();
      assert.equal(monitor.kind, 'userfaultfd');
      const [id] = readers();
      const status = readFileSync(`/proc/self/task/${id}/status`, 'latin1');
      const blocked = BigInt(`0x${/^SigBlk:\t(\w+)$/m.exec(status)![1]}`);
      // SIGKILL, SIGSTOP, and the two that glibc keeps to itself.
      const never = [9n, 19n, 32n, 33n].reduce((set, signal) => set | (1n << (signal - 1n)), 0n);
      assert.equal(blocked | never, 2n ** 64n - 1n);
    });

    it('is not inherited by a program that is started', () => {
      using monitor = new UserfaultfdMonitor();
      monitor.watch(page(0), page(1), 1);
      const { stdout } = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
      assert.ok(stdout.includes('->'));
      assert.ok(!stdout.includes('userfaultfd') && !stdout.includes('regcache-counter'));
      assert.equal(madvise(page(0), PAGE_SIZE, MADV_DONTNEED), 0);
    });

    describe('says why there is none', () => {
      const CALL = { x64: 323, arm64: 282 }[process.arch as 'x64' | 'arm64'];
      const IOCTL = { x64: 16, arm64: 29 }[process.arch as 'x64' | 'arm64'];
      const UFFDIO_API = 0xc018aa3f;
      const { ENOSYS, EPERM, EINVAL } = constants.errno;
      for (const [what, filter, code, message] of [
        ['a kernel without it', { call: CALL, errno: ENOSYS }, 'ERR_NO_MONITOR', /CONFIG_USERFAULTFD/],
        ['a kernel before 5.11', { call: CALL, errno: EINVAL }, 'ERR_NO_MONITOR', /Linux 5\.11/],
        ['a container', { call: CALL, errno: EPERM }, 'ERR_MONITOR_ACCESS', /seccomp/],
        [
          'a kernel that lacks a feature',
          { call: IOCTL, second: UFFDIO_API, errno: EINVAL },
          'ERR_NO_MONITOR',
          /write protection/,
        ],
      ] as const) {
        it(what, () => {
          const error = openFiltered(filter);
          assert.equal(error.code, code);
          assert.match(error.message, message);
        });
      }
    });
  });
}
