import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMPILER, compileClient, runTap } from './c-client.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';

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
  this.timeout(1_200_000);
  let folder = '';

  before(function () {
    needs(this, `${COMPILER} + libc6-dev`, existsSync('/usr/include/stdio.h'));
    folder = mkdtempSync(join(tmpdir(), 'regcache-selftest-'));
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const compile = (name: string, ...flags: string[]): string => compileClient(folder, name, ...flags);
  const permitted = process.getuid?.() === 0 ? MAY_BE_SKIPPED : [...MAY_BE_SKIPPED, ...NEED_ROOT];

  it('64 bits: every call, result and errno; poll, select, epoll, SIGIO; races between threads', () => {
    runTap(compile('ummunotify_test'), permitted);
  });

  it('32 bits: the same', function () {
    needs(this, 'x86-64', process.arch === 'x64');
    needs(this, 'gcc-12-multilib', existsSync('/usr/lib32/libc.so.6') || existsSync('/lib32/libc.so.6'));
    // The headers of the kernel are the same for both, but only one of them is on the compiler's path.
    runTap(compile('ummunotify_test', '-m32', '-I/usr/include/x86_64-linux-gnu'), permitted);
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
