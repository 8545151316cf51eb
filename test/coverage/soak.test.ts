import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { needs } from '../needs.js';
import type { Report } from '../soak/report.js';
import { requireStack } from '../system/stack.js';

describe('soak', function () {
  requireStack();
  this.timeout(240_000);

  it('can tell stale bytes, at either end', function () {
    needs(this, 'root');
    const main = fileURLToPath(new URL('../soak/main.js', import.meta.url));
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [main, '--kept', '--seconds', '10', '--seed', '1', '--json'],
      { encoding: 'utf8' },
    );
    assert.equal(status, 1, stderr);
    const { checks, stale } = JSON.parse(stdout) as Report;
    assert.ok(stale > 0);
    const failed = checks.filter(({ ok }) => !ok).map(({ name }) => name);
    for (const end of ['sender', 'receiver']) assert.ok(failed.includes(`no stale bytes at the ${end}`), end);
  });
});
