import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { DEVICE_PATH } from '../../src/monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { errno, O_NONBLOCK } from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { kernelState, SLAB } from './kernel-state.js';

/** The virtual machine's first file system, where the driver was loaded from. */
const MODULES = '/proc/1/root/modules';

const deleteModule = koffi.load(null).func('int delete_module(const char *name, unsigned int flags)') as (
  name: string,
  flags: number,
) => number;

function run(program: string, ...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { status, stderr };
}

describe('the module', () => {
  requireStack();
  let driver: string;
  before(function () {
    const name = existsSync(MODULES) && readdirSync(MODULES).find((file) => file.endsWith('ummunotify.ko'));
    needs(this, 'a driver to unload', typeof name === 'string');
    driver = `${MODULES}/${name as string}`;
  });

  it('is not unloaded while somebody has its device open', () => {
    const monitor = new UmmunotifyMonitor();
    const start = map(PAGE_SIZE);
    monitor.watch(start, start + PAGE_SIZE, 1, 1);
    const refused = run('rmmod', 'ummunotify');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /in use/);
    assert.equal(deleteModule('ummunotify', O_NONBLOCK), -1);
    // What the kernel says of a module that is in use, unless it is asked to wait.
    assert.equal(errno(), constants.errno.EAGAIN);
    monitor.unwatch(1);
    monitor.close();
    unmap(start, PAGE_SIZE);
  });

  it('is unloaded when nobody has, without a trace, and works when it is loaded again', () => {
    // The name of one that is shared with others stays.
    const slab = kernelState().watches === undefined ? [] : [SLAB];
    assert.deepEqual(run('rmmod', 'ummunotify'), { status: 0, stderr: '' });
    try {
      for (const trace of ['/sys/module/ummunotify', DEVICE_PATH, ...slab]) {
        assert.ok(!existsSync(trace), trace);
      }
      assert.throws(() => new UmmunotifyMonitor(), { code: 'ERR_NO_MONITOR' });
    } finally {
      assert.deepEqual(run('insmod', driver), { status: 0, stderr: '' });
    }
    using monitor = new UmmunotifyMonitor();
    const start = map(PAGE_SIZE);
    monitor.watch(start, start + PAGE_SIZE, 1, 1);
    unmap(start, PAGE_SIZE);
    const told: number[] = [];
    monitor.drain({ invalidated: (cookie) => void told.push(cookie), drainedTo: () => undefined });
    assert.deepEqual(told, [1]);
    monitor.unwatch(1);
  });
});
