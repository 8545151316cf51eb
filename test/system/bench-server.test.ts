import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Result, Row } from '../../bench/result.js';
import { requireStack } from './stack.js';

/** Fails when a monitor breaks its promise. */
async function rowsOf(name: string, ...args: string[]): Promise<Row[]> {
  const program = fileURLToPath(new URL(`../../bench/${name}.js`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    program,
    ...args,
    ...['--rounds', '2', '--requests', '100', '--puts', '20', '--json'],
  ]);
  return (JSON.parse(stdout) as Result).rows;
}

describe('bench: server', function () {
  requireStack();
  this.timeout(480_000);

  it('can tell stale replies, and finds none under ummunotify, whatever changes the memory', async () => {
    const rows = await rowsOf('malloc-hooks', '--monitor', 'kept', '--monitor', 'ummunotify');
    assert.equal(rows.length, 12);
    for (const row of rows) {
      const what = JSON.stringify(row);
      assert.ok(Number(row['replies']) > 100 && Number(row['hits %']) > 0, what);
      const { memory, monitor } = row;
      if (monitor === 'ummunotify') assert.equal(row['stale'], 0, what);
      else if (/mmap|MADV/.test(String(memory))) assert.ok(Number(row['stale']) > 0, what);
    }
  });

  it('registers anew for each reply without a monitor, and nothing when it copies', async () => {
    const rows = await rowsOf('server', '--monitor', 'none', '--monitor', 'copy');
    assert.deepEqual(
      rows.map(({ memory, monitor, stale, ...row }) => [memory, monitor, stale, row['hits %']]),
      [
        ['malloc + Buffers', 'none', 0, 0],
        ['malloc + Buffers', 'copy', 0, undefined],
      ],
    );
  });
});
