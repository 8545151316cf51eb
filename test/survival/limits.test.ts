import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { kernelState, settlesAt, type KernelState } from './kernel-state.js';
import { FILE, type ResourceName, type Starved } from './starved.js';

const MAX_MAP_COUNT = '/proc/sys/vm/max_map_count';

describe('a process at its limits', function () {
  this.timeout(180_000);
  requireStack();

  let atFirst: KernelState;
  before(function () {
    needs(this, 'root');
    atFirst = kernelState();
  });
  afterEach(async () => {
    await settlesAt(atFirst);
  });

  function starve(of: ResourceName, env: NodeJS.ProcessEnv = {}): Starved {
    const command = 'ulimit -n 256 && exec "$0" "$@"';
    const { status, signal, stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, FILE, of], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    assert.deepEqual([status, signal], [0, null], stderr);
    return JSON.parse(stdout) as Starved;
  }

  it('of descriptors: each place where one is opened says so, leaves none behind, and works again', () => {
    const { refusals, enough } = starve('descriptors');
    assert.equal(refusals.length, enough);
    assert.deepEqual(
      refusals.map(({ code, syscall }) => [code, syscall]),
      [
        ['EMFILE', 'open'],
        // libibverbs cannot look for devices, and says that there are none.
        ['ERR_NO_RDMA_DEVICE', undefined],
        ['EMFILE', 'ibv_open_device'],
        ['EMFILE', 'ibv_create_comp_channel'],
        ['EMFILE', 'open'],
      ],
    );
  });

  it('of mappings: the same', function () {
    needs(this, 'a limit of its own', hostname() === 'guest');
    const before = readFileSync(MAX_MAP_COUNT, 'latin1');
    // All that are left to a process are made: fewer take less time.
    writeFileSync(MAX_MAP_COUNT, '2000');
    try {
      // Nor is the process to end because its heap cannot grow.
      const { refusals, enough } = starve('mappings', { MALLOC_TOP_PAD_: '67108864', MALLOC_ARENA_MAX: '1' });
      assert.equal(refusals.length, enough - 1);
      const ofMonitor = refusals.slice(0, 2);
      for (const { code, syscall, message } of ofMonitor) {
        assert.deepEqual([code, syscall], ['ENOMEM', 'mmap']);
        assert.match(message, /vm\.max_map_count/);
      }
      const ofDevice = refusals.slice(2);
      assert.ok(ofDevice.length > 0);
      for (const { code, syscall } of ofDevice) {
        assert.equal(code, 'ENOMEM');
        assert.match(syscall!, /^ibv_create_[cq][pq]$/);
      }
    } finally {
      writeFileSync(MAX_MAP_COUNT, before);
    }
  });
});
