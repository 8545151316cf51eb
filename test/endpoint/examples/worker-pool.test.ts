import assert from 'node:assert/strict';
import { Pool } from '../../../examples/worker-pool/pool.js';
import type { Work } from '../../../examples/worker-pool/worker.js';
import { listen } from '../../../src/endpoint/listener.js';
import { pagesStay } from '../../system/pages-stay.js';
import { requireStack } from '../../system/stack.js';
import { hostOfDevice } from '../fixture.js';
import { runExample } from './example.js';

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

describe('example: worker-pool', function () {
  this.timeout(300_000);
  requireStack();
  pagesStay();

  it('workers_write_each_block_of_their_memory_once', async () => {
    // The last block is shorter than the others.
    const { status, stdout, stderr } = await runExample(
      'worker-pool',
      ...['--workers', '3', '--mib', '2', '--block-kib', '96', '--rounds', '5', '--json'],
    );
    assert.equal(status, 0, stderr);
    const { digests, workers } = JSON.parse(stdout) as { digests: string[]; workers: Work[] };
    assert.equal(new Set(digests).size, 5, 'other content each time');
    for (const digest of digests) assert.match(digest, /^[0-9a-f]{64}$/);
    assert.equal(workers.length, 3);
    const blocks = Math.ceil(2048 / 96);
    assert.equal(sum(workers.map((worker) => worker.blocks)), 5 * blocks);
    for (const worker of workers) {
      assert.equal(worker.hits + worker.misses, worker.blocks, 'a cache of its own, asked for each block');
      assert.ok(worker.misses <= blocks, 'each block is registered once at most');
    }
    assert.ok(sum(workers.map(({ hits }) => hits)) >= 2 * blocks);
  });

  it('a_worker_that_cannot_connect_says_why_and_none_is_left', async () => {
    const memory = new Uint8Array(new SharedArrayBuffer(4096));
    const remote = { address: 4096, length: 4096, rkey: 1 };
    await assert.rejects(
      Pool.start(2, { host: hostOfDevice(), port: 1, memory, remote, blockBytes: 4096 }),
      /ECONNREFUSED/,
    );
  });

  it('a_write_that_fails_rejects_with_its_error', async () => {
    await using listener = await listen();
    const accepted = Promise.all([listener.accept(), listener.accept()]);
    const memory = new Uint8Array(new SharedArrayBuffer(64 * 1024));
    // Memory that nobody exposed.
    const remote = { address: 4096, length: memory.length, rkey: 1 };
    const { port } = listener;
    await using pool = await Pool.start(2, { host: hostOfDevice(), port, memory, remote, blockBytes: 4096 });
    await accepted;
    await assert.rejects(pool.write(), { code: 'ERR_WORK_COMPLETION' });
  });

  it('says_what_is_wrong_in_a_line', async () => {
    const { status, stdout, stderr } = await runExample('worker-pool', '--host', 'no-such-host.invalid');
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^worker-pool: .*no-such-host\.invalid.*\n$/);
  });
});
