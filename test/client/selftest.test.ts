import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';

const SELFTEST = join(PROJECT, 'native/ummunotify/selftest');
const COMPILER = process.env['CC'] ?? 'gcc-12';
/** How a program of kselftest says that it was skipped. */
const SKIPPED = 4;
/** Tests that a machine may leave nothing to see: it is too slow or too fast, or lacks a file system or a feature. */
const MAY_BE_SKIPPED: readonly string[] = [
  'compat_ioctl',
  'drained_early_is_reported_again',
  'drained_late_is_reported_once',
  'memory_is_charged_to_its_user',
  'moved_before',
  'register_elsewhere_does_not_wait',
  'register_is_not_starved',
  'register_waits_for_open_invalidation',
  'spilled_is_waited_for',
  'translation_mprotect',
  'translation_soft_dirty',
  'translation_write_back',
];
/** Tests that need root besides, to change the driver's settings and to hold up the kernel with userfaultfd. */
const NEED_ROOT: readonly string[] = [
  'crowd',
  'hit_while_copied',
  'putback',
  'range_limit',
  'unregister_waits_for_copy',
];

describe('driver: plain C clients that include nothing but its header', function () {
  requireStack();
  this.timeout(480_000);
  let folder = '';

  before(function () {
    needs(this, `${COMPILER} + libc6-dev`, existsSync('/usr/include/stdio.h'));
    folder = mkdtempSync(join(tmpdir(), 'regcache-selftest-'));
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function compile(name: string, ...flags: string[]): string {
    const program = join(folder, `${name}${flags.length}`);
    const include = join(PROJECT, 'native/ummunotify/include/uapi');
    execFileSync(COMPILER, [
      '-O2',
      '-pthread',
      '-I',
      include,
      ...flags,
      '-o',
      program,
      join(SELFTEST, `${name}.c`),
    ]);
    return program;
  }

  /** Run a program that speaks TAP; fails with the lines that tell what failed. */
  function runTap(program: string): void {
    const { status, stdout, stderr } = spawnSync(program, { encoding: 'utf8' });
    const complaints = stdout.split('\n').filter((line) => /^not ok|^# (?!passed|SKIP)/.test(line));
    assert.equal(status, 0, `${complaints.join('\n')}\n${stderr}`);
    const skipped = [...stdout.matchAll(/^(?:# SKIP (.*)\n)?ok \d+ (\w+) # SKIP/gm)];
    for (const [, why = 'no reason given', name] of skipped) console.log(`      skipped: ${name} (${why})`);
    const permitted = process.getuid?.() === 0 ? MAY_BE_SKIPPED : [...MAY_BE_SKIPPED, ...NEED_ROOT];
    assert.deepEqual(
      skipped.map(([, , name]) => name).filter((name) => !permitted.includes(name)),
      [],
      'skipped without permission',
    );
    const [, planned] = /^1\.\.(\d+)$/m.exec(stdout)!.map(Number);
    const [, passed, failed] = /^# passed (\d+), failed (\d+)/m.exec(stdout)!.map(Number);
    assert.equal(failed, 0);
    assert.equal(passed + skipped.length, planned);
  }

  it('64 bits: every call, result and errno; poll, select, epoll, SIGIO; races between threads', () => {
    runTap(compile('ummunotify_test'));
  });

  it('32 bits: the same', function () {
    needs(this, 'x86-64', process.arch === 'x64');
    needs(this, 'gcc-12-multilib', existsSync('/usr/lib32/libc.so.6') || existsSync('/lib32/libc.so.6'));
    // The headers of the kernel are the same for both, but only one of them is on the compiler's path.
    runTap(compile('ummunotify_test', '-m32', '-I/usr/include/x86_64-linux-gnu'));
  });

  it('pins by io_uring while another thread drops the pages: no stale byte without an event', function () {
    const { status, stdout, stderr } = spawnSync(compile('ummunotify_iouring'), [], { encoding: 'utf8' });
    needs(this, 'io_uring', status !== SKIPPED);
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    const [, tries, inside, silent] = /^# (\d+) tries, (\d+) pinned .*, (\d+) without an event/m
      .exec(stdout)!
      .map(Number);
    console.log(`      ${inside} of ${tries} pins were made while the other thread was inside`);
    assert.ok(inside > 0 && silent > 0, stdout);
  });
});
