import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { DEVICE_PATH } from '../../src/monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { needs } from '../needs.js';
import { requireStack } from './stack.js';

const script = fileURLToPath(new URL('./unprivileged.js', import.meta.url));
const MEGABYTE = 1024 * 1024;

interface Outcome {
  code?: string;
  errno?: number;
  syscall?: string;
  path?: string;
  message?: string;
  length?: number;
  passedOver?: string;
}

/** Acquire `length` bytes as an ordinary user who may lock `kilobytes`. */
function unprivileged(kilobytes: number | 'unlimited', env: NodeJS.ProcessEnv = {}): Outcome {
  const command = `ulimit -l ${kilobytes} && exec "$0" "$@"`;
  const output = execFileSync('sh', ['-c', command, process.execPath, script, String(MEGABYTE)], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return JSON.parse(output) as Outcome;
}

describe('an ordinary user', function () {
  this.timeout(180_000);

  requireStack();
  before(function () {
    needs(this, 'root', process.getuid!() === 0);
  });

  it('may use the cache', () => {
    assert.deepEqual(unprivileged('unlimited'), { length: MEGABYTE });
  });

  it('is told when the limit of locked memory is too low, and how to raise it', () => {
    const refused = unprivileged(64);
    assert.equal(refused.code, 'ERR_MEMLOCK_LIMIT');
    assert.equal(refused.errno, -constants.errno.ENOMEM);
    assert.equal(refused.syscall, 'ibv_reg_mr');
    assert.match(refused.message!, /limit is 65536.*ulimit -l unlimited.*1048576 bytes from 0x[0-9a-f]+ on/s);
  });

  it('is told so of a limit of 0 too, to which the kernel gives another errno', () => {
    const refused = unprivileged(0);
    assert.equal(refused.code, 'ERR_MEMLOCK_LIMIT');
    assert.equal(refused.errno, -constants.errno.EPERM);
  });

  it('is told when the device may not be opened that was asked for, and does without otherwise', () => {
    const { mode } = statSync(DEVICE_PATH);
    chmodSync(DEVICE_PATH, 0o600);
    try {
      const refused = unprivileged('unlimited', { RDMA_REGCACHE_MONITOR: 'ummunotify' });
      assert.equal(refused.code, 'ERR_MONITOR_ACCESS');
      assert.equal(refused.errno, -constants.errno.EACCES);
      assert.equal(refused.path, DEVICE_PATH);
      assert.match(refused.message!, /chmod 0666/);
      assert.deepEqual(unprivileged('unlimited'), { length: MEGABYTE, passedOver: 'ERR_MONITOR_ACCESS' });
    } finally {
      chmodSync(DEVICE_PATH, mode & 0o777);
    }
  });
});

describe('a machine without the module', () => {
  it('is told to load it when it asks for it', () => {
    assert.throws(() => new UmmunotifyMonitor({ path: '/dev/no-ummunotify' }), {
      code: 'ERR_NO_MONITOR',
      errno: -constants.errno.ENOENT,
      syscall: 'open',
      path: '/dev/no-ummunotify',
      message: /modprobe ummunotify/,
    });
  });

  it('does not mistake another device for it', () => {
    assert.throws(() => new UmmunotifyMonitor({ path: '/dev/null' }), { syscall: 'mmap', path: '/dev/null' });
  });
});
