import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Result } from '../../bench/result.js';
import { requireStack } from '../system/stack.js';

const main = fileURLToPath(new URL('../../bench/coverage.js', import.meta.url));

describe('bench: coverage', () => {
  requireStack();

  it('sees the receiver get what was sent, whatever changed the mapping', async function () {
    this.timeout(240_000);
    // Fails when there is one that is not.
    const { stdout } = await promisify(execFile)(process.execPath, [
      main,
      '--monitor',
      'ummunotify',
      '--json',
    ]);
    const { rows } = JSON.parse(stdout) as Result;
    const others = rows.filter(({ cell }) => cell !== 'fresh');
    assert.ok(rows.length >= 90, `${rows.length} rows`);
    // What old kernels and some machines are without.
    assert.ok(others.length <= 12, JSON.stringify(others));
  });

  it('can tell stale bytes', async function () {
    this.timeout(120_000);
    const args = [main, '--monitor', 'kept', '--only', 'punch hole, memfd', '--by', 'same thread', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { rows } = JSON.parse(stdout) as Result;
    assert.deepEqual(
      rows.map(({ change, cell, pfn }) => [change, cell, pfn]),
      [
        ['punch hole, memfd', 'stale', 'other'],
        // Private pages stay where they are.
        ['punch hole, memfd private', 'fresh', 'same'],
      ],
    );
  });
});
