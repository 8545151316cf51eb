import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { needs } from '../needs.js';
import type { Report } from '../soak/report.js';
import { requireStack } from '../system/stack.js';

describe('soak', function () {
  requireStack();
  this.timeout(300_000);

  it('finds stale bytes at either end where registrations are kept, and ends in order', function () {
    needs(this, 'root');
    const main = fileURLToPath(new URL('../soak/main.js', import.meta.url));
    const { stdout, stderr, status, signal } = spawnSync(
      process.execPath,
      [main, '--kept', '--seconds', '20', '--seed', '1', '--json'],
      { encoding: 'utf8' },
    );
    assert.deepEqual([status, signal], [1, null], stderr);
    const { ok, checks, kept } = JSON.parse(stdout) as Report;
    assert.deepEqual([ok, kept], [false, true]);
    for (const end of ['sender', 'receiver']) {
      const check = checks.find(({ name }) => name === `no stale bytes at the ${end}`)!;
      assert.equal(check.ok, false, `none at the ${end}\n${stderr}`);
      assert.match(check.seen, /^[1-9]\d* of \d+ transfers$/);
    }
    // Of what is no fault of a monitor's, nothing.
    const failed = checks.filter((check) => !check.ok && !check.name.startsWith('no stale bytes'));
    assert.deepEqual(
      failed.map(({ name }) => name),
      ['each thread transferred, and each cache had hits and invalidations'],
    );
  });
});
