import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Result } from '../../bench/result.js';
import { requireStack } from '../system/stack.js';

const main = fileURLToPath(new URL('../../bench/coverage.js', import.meta.url));

/** Of a test; ms. */
const LIMIT = 480_000;

/** Fails when a cell breaks the promise of its monitor, with what the bench said when it takes too long. */
async function rowsOf(...args: string[]): Promise<Result['rows']> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args, '--json'], {
    timeout: LIMIT - 10_000,
  });
  const { rows } = JSON.parse(stdout) as Result;
  // It has said where a process that was late was waiting.
  if (rows.some(({ tries }) => tries !== 1)) console.log(stderr);
  return rows;
}

/** From which Linux on there is a change, for any mapping. */
const SINCE: Readonly<Record<string, readonly [major: number, minor: number]>> = {
  'process_madvise DONTNEED': [6, 13],
  'UFFDIO_MOVE away (tried)': [6, 8],
  'UFFDIO_MOVE onto it': [6, 8],
};

function isTooOldFor(change: string): boolean {
  const [major, minor] = release().split('.').map(Number);
  const [sinceMajor, sinceMinor] = SINCE[change] ?? [0, 0];
  return major < sinceMajor || (major === sinceMajor && minor < sinceMinor);
}

/** Other machines may lack more, a disk to swap to, say; the virtual machine only KSM in time. */
const mayLack = ({ change, errno }: Result['rows'][number]): boolean =>
  isTooOldFor(String(change)) ||
  process.env['RDMA_REGCACHE_VM'] !== '1' ||
  (change === 'KSM (tried)' && errno === 'ETIMEDOUT');

/** Everything is fresh but for what old kernels and some machines are without. */
function assertFresh(rows: Result['rows'], changes: number): void {
  const count = (some: Result['rows']): number => new Set(some.map(({ change }) => change)).size;
  const others = rows.filter(({ cell }) => cell !== 'fresh');
  assert.ok(count(rows) >= changes, `${count(rows)} changes`);
  assert.deepEqual(
    others.filter((row) => row['cell'] !== 'n/a' || !mayLack(row)),
    [],
  );
  // Those, a disk to swap to, and KSM.
  assert.ok(count(others) <= 7, JSON.stringify(others));
}

const BY_OTHERS = ['thread', 'worker', 'child process', 'other process'].flatMap((actor) => ['--by', actor]);

describe('bench: coverage', function () {
  requireStack();
  this.timeout(LIMIT);

  it('has ummunotify notice all that the thread itself changes', async () => {
    const hugePages = (): string => readFileSync('/proc/sys/vm/nr_hugepages', 'latin1');
    const before = hugePages();
    assertFresh(await rowsOf('--monitor', 'ummunotify', '--by', 'same thread'), 55);
    assert.equal(hugePages(), before);
  });

  it('has ummunotify notice all that threads, workers, children and other processes change', async () => {
    assertFresh(await rowsOf('--monitor', 'ummunotify', ...BY_OTHERS), 50);
  });

  it('has no stale bytes without a monitor', async () => {
    assertFresh(await rowsOf('--monitor', 'none', '--by', 'same thread'), 55);
  });

  it('has no stale bytes without a monitor, whoever else changes it', async () => {
    assertFresh(await rowsOf('--monitor', 'none', ...BY_OTHERS), 50);
  });

  it('can tell stale bytes', async () => {
    const rows = await rowsOf(
      ...['--monitor', 'kept', '--only', 'punch hole, memfd'],
      ...['--by', 'same thread', '--by', 'other process'],
    );
    assert.deepEqual(
      rows.map(({ change, actor, cell, pfn }) => [change, actor, cell, pfn]),
      [
        ['punch hole, memfd', 'same thread', 'stale', 'other'],
        ['punch hole, memfd', 'other process', 'stale', 'other'],
        // Private pages stay where they are.
        ['punch hole, memfd private', 'same thread', 'fresh', 'same'],
        ['punch hole, memfd private', 'other process', 'fresh', 'same'],
      ],
    );
  });
});
