import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';
import { kernelState, settlesAt, type KernelState } from './kernel-state.js';
import { FILE, type Scarce, type Starved } from './starved.js';

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

  function starve(what: Scarce): Starved {
    const command = 'ulimit -n 256 && exec "$0" "$@"';
    const { status, signal, stdout, stderr } = spawnSync(
      'sh',
      ['-c', command, process.execPath, FILE, what],
      {
        encoding: 'utf8',
      },
    );
    assert.deepEqual([status, signal], [0, null], stderr);
    return JSON.parse(stdout) as Starved;
  }

  it('of descriptors: each place where one is opened says so, leaves none behind, and works again', () => {
    const { refusals, enough } = starve('descriptors');
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

  it('of mappings: each place where one is made says so, leaves nothing behind, and works again', () => {
    const usual = readFileSync(MAX_MAP_COUNT, 'latin1');
    writeFileSync(MAX_MAP_COUNT, '3000');
    try {
      const { refusals } = starve('mappings');
      assert.ok(refusals.length > 0);
      assert.ok(refusals.every(({ code, syscall }) => code === 'ENOMEM' && syscall !== undefined));
    } finally {
      writeFileSync(MAX_MAP_COUNT, usual);
    }
  });
});
