import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Result } from '../../bench/result.js';
import { requireStack } from '../system/stack.js';

const main = fileURLToPath(new URL('../../bench/coverage.js', import.meta.url));

/** Fails when a cell breaks the promise of its monitor. */
async function rowsOf(...args: string[]): Promise<Result['rows']> {
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--json']);
  return (JSON.parse(stdout) as Result).rows;
}

/** Everything is fresh but for what old kernels and some machines are without. */
function assertFresh(rows: Result['rows'], changes: number): void {
  const count = (some: Result['rows']): number => new Set(some.map(({ change }) => change)).size;
  const others = rows.filter(({ cell }) => cell !== 'fresh');
  assert.ok(count(rows) >= changes, `${count(rows)} changes`);
  assert.ok(
    others.every(({ cell }) => cell === 'n/a'),
    JSON.stringify(others),
  );
  // process_madvise of Linux 6.13, UFFDIO_MOVE of 6.8, a disk to swap to, KSM in time.
  assert.ok(count(others) <= 7, JSON.stringify(others));
}

describe('bench: coverage', function () {
  requireStack();
  this.timeout(480_000);

  it('has ummunotify notice all that the thread itself changes', async () => {
    const hugePages = (): string => readFileSync('/proc/sys/vm/nr_hugepages', 'latin1');
    const before = hugePages();
    assertFresh(await rowsOf('--monitor', 'ummunotify', '--by', 'same thread'), 55);
    assert.equal(hugePages(), before);
  });

  it('has ummunotify notice all that threads, workers, children and other processes change', async () => {
    const by = ['thread', 'worker', 'child process', 'other process'].flatMap((actor) => ['--by', actor]);
    assertFresh(await rowsOf('--monitor', 'ummunotify', ...by), 50);
  });

  it('has no stale bytes without a monitor', async () => {
    assertFresh(await rowsOf('--monitor', 'none', '--by', 'same thread'), 55);
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
