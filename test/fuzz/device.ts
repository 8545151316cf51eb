import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileClient } from '../client/c-client.js';
import { driverIsIdle } from '../survival/kernel-state.js';

const NOBODY = '65534';

/** What the kernel says when something is wrong with it. */
const COMPLAINT = /WARNING:|BUG|Oops|general protection|KASAN|refcount_t|lockdep|hung task|Call Trace/;

/** What they say that they have done, and how much of it at least was not refused. */
const PROGRAMS = {
  /** Calls of all kinds with arguments of all kinds, by several threads and processes on the same files. */
  ummunotify_fuzz: /^# process \d+: \d+ calls, (\d+) successful/gm,
  /** Calls of one thread, each answer of which is known. */
  ummunotify_model: /^# \d+ steps, (\d+) records read/gm,
};

/**
 * Random calls, as root and as a user with no rights; then nothing of it is left in the kernel.
 * @param seconds for each user and program
 * @throws with the seed
 */
export async function fuzzDevice(seed: number, seconds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'regcache-fuzz-'));
  try {
    chmodSync(folder, 0o755);
    const isRoot = process.getuid?.() === 0;
    const users = isRoot ? [[], ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups']] : [[]];
    for (const [name, done] of Object.entries(PROGRAMS)) {
      const program = compileClient(folder, name);
      for (const [n, user] of users.entries()) {
        const argv = [...user, program, '-t', String(seconds), '-s', String(seed + n)];
        const { status, signal, stdout } = spawnSync(argv[0], argv.slice(1), { encoding: 'utf8' });
        assert.equal(signal, null, `${argv.join(' ')}: ${stdout}`);
        assert.equal(status, 0, `${argv.join(' ')}: ${stdout}`);
        const counts = [...stdout.matchAll(done)].map((match) => Number(match[1]));
        assert.ok(counts.length > 0 && counts.every((count) => count > 100), stdout);
      }
    }
    if (!isRoot) return;
    assert.doesNotMatch(execFileSync('dmesg', { encoding: 'utf8' }), COMPLAINT);
    await driverIsIdle();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
