import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTool } from '../../native/vm/tool.js';
import { runVm } from './runner.js';

describe('the runner of the virtual machine', () => {
  it('names the kernels there are when asked for another', async () => {
    const { status, stderr } = await runVm(['true'], { ...process.env, VM_KERNEL: '5.4' });
    assert.equal(status, 2);
    assert.match(stderr, /there is no kernel '5\.4' to choose; it is one of 6\.1, 6\.12, newest/);
  });

  it('names the package of a program that is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
    try {
      symlinkSync(findTool('setpriv'), join(folder, 'setpriv'));
      const { status, stderr } = await runVm(['true'], { ...process.env, PATH: folder });
      assert.equal(status, 125);
      assert.match(stderr, /qemu-system-x86_64 is missing; it is in the Debian package qemu-system-x86 /);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses an unknown option and a limit that is no number, and shows how it is used', async () => {
    const unknown = await runVm(['--speed', 'true']);
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /Usage: npm run vm/);
    const limit = await runVm(['--limit', 'soon', 'true']);
    assert.equal(limit.status, 2);
    assert.match(limit.stderr, /--limit takes a whole number of at least 0, not 'soon'/);
  });

  it('shows how it is used without a command', async () => {
    const { status, stderr } = await runVm([]);
    assert.equal(status, 2);
    assert.match(stderr, /Usage: npm run vm/);
  });
});
