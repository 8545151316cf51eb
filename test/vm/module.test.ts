import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { defaultOptions } from '../../native/vm/options.js';
import { needs } from '../needs.js';
import { provideKernel, type Kernel, type Series } from '../../native/vm/kernel.js';
import { PROGRAM } from '../cli.js';
import { runVm } from './runner.js';

interface Status {
  ok: boolean;
  kernel: string;
  loaded: { version: string; srcversion: string } | null;
  installed: { path: string; version: string; srcversion: string } | null;
  sources: { version: string };
  device: { usable: boolean; mode: string };
}

/** What `rdma-regcache module` prints with --json. */
const parse = (text: string): unknown => JSON.parse(text);

describe('rdma-regcache module', function () {
  this.timeout(300_000);

  let kernel: Kernel;
  before('fetch a kernel', async function () {
    kernel = await provideKernel(defaultOptions().kernel as Series);
    needs(this, 'the compiler that built the kernel', kernel.settings === undefined);
  });

  it('builds the module for a kernel, and not again what is built', () => {
    const build = (): { kernel: string; path: string } =>
      parse(
        execFileSync(process.execPath, [PROGRAM, 'module', 'build', '--headers', kernel.headers, '--json'], {
          encoding: 'utf8',
        }),
      ) as { kernel: string; path: string };
    const first = build();
    assert.equal(first.kernel, kernel.release);
    const magic = execFileSync('/usr/sbin/modinfo', ['-F', 'vermagic', first.path], { encoding: 'utf8' });
    assert.ok(magic.startsWith(`${kernel.release} `), magic);
    assert.deepEqual(build(), first);
  });

  it('installs and loads it in the guest, where the driver was taken out, so that the doctor is content', async () => {
    const program = `"${process.execPath}" "${PROGRAM}"`;
    const { status, stdout, stderr } = await runVm([
      'sh',
      '-c',
      [
        'rmmod ummunotify',
        `${program} module status --json; echo "status $?"`,
        `${program} module install --json --headers "$0"; echo "status $?"`,
        'cat /etc/modules-load.d/ummunotify.conf /etc/udev/rules.d/60-ummunotify.rules',
        `${program} doctor | grep " module "`,
      ].join('\n'),
      kernel.headers,
    ]);
    assert.equal(status, 0, stderr);
    const [before, after, rest] = stdout.toString().split(/^status \d\n/m);
    const statuses = [...stdout.toString().matchAll(/^status (\d)$/gm)].map(([, digit]) => Number(digit));
    assert.deepEqual(statuses, [1, 0], stderr);
    const without = parse(before) as Status;
    assert.equal(without.loaded, null);
    assert.equal(without.installed, null);
    assert.equal(without.device.usable, false);
    const { ok, loaded, installed, sources, device } = parse(after) as Status;
    assert.equal(ok, true);
    assert.equal(loaded!.version, sources.version);
    assert.equal(installed!.srcversion, loaded!.srcversion);
    assert.ok(installed!.path.startsWith(`/lib/modules/${kernel.release}/`));
    assert.equal(device.mode, 'crw-rw-rw-');
    assert.match(
      rest,
      /^ummunotify\n[^]*KERNEL=="ummunotify"[^]*\n {2}ok {7}module {8}ummunotify 1\.0\.0 is loaded\n$/,
    );
  });
});
