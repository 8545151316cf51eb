import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ALL, COLUMNS, server, WAYS } from '../../bench/about/server.js';
import { mallocHooks } from '../../bench/about/malloc-hooks.js';
import { ALLOCATORS } from '../../bench/server/allocators.js';
import { copyMemory } from '../../bench/server/copy-memory.js';
import type { Measured } from '../../bench/server/measure.js';
import { MOST, Requests } from '../../bench/server/requests.js';
import { failures, rowsOf } from '../../bench/server/rows.js';
import type { Sample } from '../../bench/server/serve.js';
import { STAMP_BYTES, verdictOn, write } from '../../bench/server/value.js';
import { addressOf } from '../../src/memory/locate.js';
import { bytesAt } from '../../src/system/mapping.js';
import { resultOf } from './bench-fixture.js';

function valueOf(number: number, length = 4096): Buffer {
  const value = Buffer.alloc(length);
  write(value, number);
  return value;
}

describe('bench: server: the look at a reply', () => {
  it('takes the value that was asked for as fresh, also one of a single stamp', () => {
    assert.equal(verdictOn(valueOf(7), 7), 'fresh');
    assert.equal(verdictOn(valueOf(2 ** 40, STAMP_BYTES), 2 ** 40), 'fresh');
  });

  it('takes an older value as stale, and any part of one', () => {
    assert.equal(verdictOn(valueOf(6), 7), 'stale');
    assert.equal(verdictOn(valueOf(6, STAMP_BYTES), 7), 'stale');
    for (const at of [0, 2048, 4096 - STAMP_BYTES]) {
      const reply = valueOf(7);
      write(reply.subarray(at, at + STAMP_BYTES), 6);
      assert.equal(verdictOn(reply, 7), 'stale', `at ${at}`);
    }
  });

  it('takes what no value has as wrong, wherever it is', () => {
    assert.equal(verdictOn(Buffer.alloc(4096), 7), 'wrong');
    for (const at of [0, 2049, 4095]) {
      const reply = valueOf(7);
      reply[at] ^= 1;
      assert.equal(verdictOn(reply, 7), 'wrong', `at ${at}`);
    }
  });
});

describe('bench: server: the requests', () => {
  const take = (seed: number, count: number, puts = 0.25): ReturnType<Requests['next']>[] => {
    const requests = new Requests(seed, 64, puts);
    return Array.from({ length: count }, () => requests.next());
  };

  it('are the same for the same seed, and others for another one', () => {
    assert.deepEqual(take(1, 100), take(1, 100));
    assert.notDeepEqual(take(1, 100), take(2, 100));
    assert.notDeepEqual(take(0, 100), take(1, 100));
  });

  it('replace as many values as they should, of all sizes, and ask for popular ones most', () => {
    const all = take(3, 20_000);
    const lengths = all.flatMap(({ length }) => length ?? []);
    assert.ok(Math.abs(lengths.length / all.length - 0.25) < 0.02, `${lengths.length}`);
    assert.ok(lengths.every((length) => length >= 1024 && length <= MOST && length % STAMP_BYTES === 0));
    assert.ok(Math.min(...lengths) < 1200 && Math.max(...lengths) > 0.9 * MOST);
    // As many below the geometric middle as above.
    const small = lengths.filter((length) => length < 16_384).length;
    assert.ok(Math.abs(small / lengths.length - 0.5) < 0.05, `${small}`);
    const asked = Array.from({ length: 64 }, (_, key) => all.filter((one) => one.key === key).length);
    assert.ok(asked.every((count) => count > 0));
    // Zipf: the second key is asked for 2^-0.99 times as often.
    assert.ok(Math.abs(asked[1] / asked[0] - 0.5) < 0.1, `${asked[1]} to ${asked[0]}`);
  });
});

describe('bench: server: memory for values', () => {
  for (const [name, make] of Object.entries(ALLOCATORS)) {
    it(`keeps values apart until they are freed: ${name}`, () => {
      const allocator = make(4);
      const from = Buffer.alloc(MOST);
      const put = (number: number, length: number): ReturnType<typeof allocator.allocate> => {
        write(from, number);
        const block = allocator.allocate(length);
        assert.equal(block.address % STAMP_BYTES, 0);
        copyMemory(block.address, addressOf(from), length);
        return block;
      };
      const blocks = [put(1, 1024), put(2, MOST), put(3, 5008)];
      allocator.free(blocks[1]);
      blocks[1] = put(4, 64_000);
      const verdicts = [1, 4, 3].map((number, n) => {
        const { address, length } = blocks[n];
        return verdictOn(bytesAt(address, length), number);
      });
      assert.deepEqual(verdicts, ['fresh', 'fresh', 'fresh']);
      for (const block of blocks) allocator.free(block);
      allocator.end();
    });
  }
});

const sample = (more: Partial<Sample> = {}, total: Partial<Sample['total']> = {}): Sample => ({
  latencies: [400, 100, 300, 200],
  gets: 3,
  registrations: 1,
  allocating: [10, 1000, 1],
  total: { replies: 1000, fresh: 1000, stale: 0, wrong: 0, ...total },
  ...more,
});

const of = (monitor: Measured['monitor'], ...samples: Sample[]): Measured => ({
  memory: 'malloc',
  monitor,
  samples,
});

describe('bench: server: the result', () => {
  it('has rates, quantiles, hits and costs, and counts stale replies', () => {
    const [none, own] = rowsOf([
      of('none', sample({ registrations: 3 })),
      of('ummunotify', sample({ allocating: [25] }, { fresh: 990, stale: 10 })),
    ]);
    assert.deepEqual(
      ['requests/s', 'p50', 'p99', 'p99.9', 'max', 'hits %', 'allocating/none'].map((column) => none[column]),
      [4000, 200, 400, 400, 400, 0, 1],
    );
    assert.deepEqual(
      ['hits %', 'allocating', 'allocating/none', 'replies', 'stale', 'stale/million'].map(
        (column) => own[column],
      ),
      [66.7, 25, 2.5, 1000, 10, 10_000],
    );
  });

  it('has the columns that are described', () => {
    const columns = rowsOf([of('none', sample())]).flatMap((row) => Object.keys(row));
    assert.deepEqual(columns.filter((name) => !name.endsWith(' ±%')).sort(), Object.keys(COLUMNS).sort());
  });

  it('is a failure when a promise was broken, and not when somebody has promised nothing', () => {
    const stale = sample({}, { stale: 1 });
    const all = ALL.map((monitor) => of(monitor, sample(), stale));
    assert.deepEqual(failures(all, ALL, ['malloc']), [
      'none, malloc: 1 of 1000 replies were stale',
      'ummunotify, malloc: 1 of 1000 replies were stale',
    ]);
    assert.deepEqual(
      failures(
        all.filter(({ monitor }) => monitor === 'ucx'),
        ['ucx'],
        ['malloc'],
      ),
      [],
    );
  });

  it('is a failure when bytes are of no value, whoever sent them', () => {
    assert.deepEqual(failures([of('ucx', sample({}, { wrong: 2 }))], ['ucx'], ['malloc']), [
      'ucx, malloc: 2 of 1000 replies had bytes of no value',
    ]);
  });

  it('is a failure when nothing was done, or who keeps promises was left out', () => {
    assert.deepEqual(
      failures([of('ucx', sample({ allocating: [] }, { replies: 0 }))], ['ucx', 'none'], ['malloc']),
      ['none, malloc: not measured', 'ucx, malloc: there was no reply', 'ucx, malloc: no value was replaced'],
    );
  });

  it('is put into a sentence', () => {
    const rows = rowsOf([
      of('none', sample({ latencies: [200, 200] })),
      of('ummunotify', sample({ latencies: [100, 100] })),
      of('malloc-hooks', sample({ latencies: [50, 50], allocating: [20] }, { stale: 12 })),
    ]);
    assert.match(
      server.answer(resultOf(rows))!,
      /answers 2 times as many .*\(malloc-hooks 4 times\), half of them in 0\.50 times/,
    );
    const text = mallocHooks.answer(resultOf(rows))!;
    assert.match(text, /^Of 1,000 replies each, stale were: none 0, ummunotify 0, malloc-hooks 12\. /);
    assert.match(
      text,
      /2\.00 times that of none, 0\.50 times that of malloc-hooks; .* 0\.50 times that of malloc-hooks\.$/,
    );
    assert.equal(server.answer(resultOf([])), undefined);
    assert.equal(mallocHooks.answer(resultOf([])), undefined);
  });

  it('is none when the command line makes no sense', () => {
    const program = fileURLToPath(new URL('../../bench/server.js', import.meta.url));
    for (const [args, message] of [
      [['--monitor', 'other'], /^--monitor takes 'none', 'ummunotify', .*, not 'other'/],
      [['--puts', '0'], /^--puts takes a whole number from 1 to 99, not '0'/],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
  });

  it('is of each way to use memory that there is', () => {
    assert.deepEqual(new Set(Object.keys(ALLOCATORS)), new Set(['malloc + Buffers', ...WAYS]));
  });
});
