import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../native/vm/cache-folder.js';
import { KERNELS } from '../../native/vm/kernel.js';
import { allGone, childrenOf, runVm, startVm } from './runner.js';

interface Stopped {
  readonly status: number | null;
  /** Whether the guest's process has ended. */
  readonly gone: boolean;
  /** Temporary files that are still there. */
  readonly left: readonly string[];
}

async function stopWith(signal: NodeJS.Signals): Promise<Stopped> {
  const folder = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
  try {
    const runner = startVm(['sh', '-c', 'echo up; exec sleep 1000'], { ...process.env, TMPDIR: folder });
    await runner.saw('up');
    const { pid } = runner.child;
    const guests = childrenOf(pid!);
    assert.equal(guests.length, 1, 'one process runs the guest');
    runner.child.kill(signal);
    const { status } = await runner.ended;
    const unfinished = [KERNELS, 'drivers', 'initramfs']
      .flatMap((name) => readdirSync(join(cacheFolder(), name)))
      .filter((name) => name.startsWith(`.${pid}-`));
    return { status, gone: await allGone(guests), left: [...readdirSync(folder), ...unfinished] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the end of a virtual machine', function () {
  this.timeout(300_000);

  it('leaves nothing behind after SIGINT, nor after a SIGKILL that nobody can handle', async () => {
    const [interrupted, killed] = await Promise.all([stopWith('SIGINT'), stopWith('SIGKILL')]);
    assert.deepEqual(interrupted, { status: 130, gone: true, left: [] });
    assert.deepEqual(killed, { status: null, gone: true, left: [] });
  });

  it('is a failure with the console when the kernel panics or has warned, whatever the command says', async () => {
    const [panicked, warned] = await Promise.all([
      runVm(['sh', '-c', 'echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger']),
      // 512: the bit that a WARN sets.
      runVm(['sh', '-c', 'echo output; echo 512 >/proc/sys/kernel/tainted; exit 0']),
    ]);
    assert.equal(panicked.status, 125);
    assert.match(panicked.stderr, /Kernel panic/);
    assert.equal(warned.status, 125);
    assert.match(warned.stderr, /reported a fault \(WARN\)/);
    assert.equal(warned.stdout.toString(), 'output\n');
  });
});
