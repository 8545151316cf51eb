import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { kernelState, settlesAt, type KernelState } from './kernel-state.js';
import { FILE, type Starved } from './starved.js';

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

  function starve(): Starved {
    const command = 'ulimit -n 256 && exec "$0" "$@"';
    const { status, signal, stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, FILE], {
      encoding: 'utf8',
    });
    assert.deepEqual([status, signal], [0, null], stderr);
    return JSON.parse(stdout) as Starved;
  }

  it('of descriptors: each place where one is opened says so, leaves none behind, and works again', () => {
    const { refusals, enough } = starve();
    assert.equal(refusals.length, enough);
    // Without any, libibverbs cannot look for devices, and says that there are none.
    const [first, ...rest] = refusals;
    assert.equal(first.code, 'ERR_NO_RDMA_DEVICE');
    assert.deepEqual(
      rest.map(({ code, syscall }) => [code, syscall]),
      [
        ['EMFILE', 'ibv_open_device'],
        ['EMFILE', 'ibv_create_comp_channel'],
        ['EMFILE', 'open'],
        ['EMFILE', 'open'],
      ],
    );
  });
});
