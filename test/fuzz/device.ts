import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileClient } from '../driver/c-client.js';

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
export function fuzzDevice(seed: number, seconds: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'regcache-fuzz-'));
  try {
    chmodSync(folder, 0o755);
    const before = objects();
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
    assert.deepEqual(settled(before), before, 'objects of the driver are left');
    assert.equal(readFileSync('/sys/module/ummunotify/refcnt', 'utf8').trim(), '0', 'the module is in use');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Objects in use in the driver's caches, by name. */
function objects(): Record<string, number> {
  if (!existsSync('/proc/slabinfo')) return {};
  const lines = readFileSync('/proc/slabinfo', 'utf8').matchAll(/^(ummunotify\S*)\s+(\d+)/gm);
  return Object.fromEntries([...lines].map(([, name, active]) => [name, Number(active)]));
}

/** The same, given the kernel time to free what waits for a grace period. */
function settled(expected: Record<string, number>): Record<string, number> {
  let now = objects();
  for (let n = 0; n < 50 && JSON.stringify(now) !== JSON.stringify(expected); n++) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    now = objects();
  }
  return now;
}
