import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { chooseMonitor } from '../../src/choose-monitor.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { MonitorName } from '../../src/monitor/choice.js';
import { choiceOf } from '../../src/monitor/open.js';
import { AddressSpace } from '../model/address-space.js';

const CONTEXT = { forkStatus: 'unneeded' } as const;
const NOWHERE = { device: '/dev/no-ummunotify' };

describe('choosing a monitor', () => {
  it('passes over the module that is not loaded, and says how to get it', () => {
    const monitor = chooseMonitor(undefined, CONTEXT, NOWHERE);
    assert.deepEqual(choiceOf(monitor), {
      kind: 'none',
      wanted: 'auto',
      by: 'default',
      passedOver: [
        {
          kind: 'ummunotify',
          code: 'ERR_NO_MONITOR',
          reason: 'there is no /dev/no-ummunotify',
          advice:
            'the device is /dev/ummunotify unless RDMA_REGCACHE_DEVICE names another: unset it, or load the kernel module (sudo modprobe ummunotify), or build and install it ' +
            '(npx rdma-regcache module install)',
        },
      ],
    });
  });

  it('never falls back from one that the program asks for', () => {
    assert.throws(() => chooseMonitor('ummunotify', CONTEXT, NOWHERE), {
      code: 'ERR_NO_MONITOR',
      path: NOWHERE.device,
      syscall: 'open',
    });
  });

  it('never falls back from one that the operator asks for, and names the variable', () => {
    assert.throws(() => chooseMonitor(undefined, CONTEXT, { ...NOWHERE, monitor: 'ummunotify' }), {
      code: 'ERR_NO_MONITOR',
      path: NOWHERE.device,
      message:
        /^ERR_NO_MONITOR: RDMA_REGCACHE_MONITOR=ummunotify: there is no \/dev\/no-ummunotify; the device is /,
    });
  });

  it('lets the operator choose where the program leaves it open, in words too', () => {
    for (const asked of [undefined, 'auto'] as const) {
      const { kind, wanted, by } = choiceOf(chooseMonitor(asked, CONTEXT, { monitor: 'none' }));
      assert.deepEqual({ kind, wanted, by }, { kind: 'none', wanted: 'none', by: 'environment' });
    }
  });

  it('takes what the program names, whatever the operator says', () => {
    const monitor = chooseMonitor('none', CONTEXT, { ...NOWHERE, monitor: 'ummunotify' });
    assert.deepEqual(choiceOf(monitor), { kind: 'none', wanted: 'none', by: 'program', passedOver: [] });
  });

  // Of them one can be mapped, and each answers another errno.
  for (const device of ['/dev/null', '/dev/zero', '/dev/urandom', '/etc/passwd']) {
    it(`passes over ${device}, which is another device or none, and says so`, () => {
      const { passedOver } = choiceOf(chooseMonitor('auto', CONTEXT, { device }));
      assert.deepEqual(passedOver, [
        {
          kind: 'ummunotify',
          code: 'ERR_NO_MONITOR',
          reason: `${device} is not an ummunotify device`,
          advice: 'name the right one in RDMA_REGCACHE_DEVICE, or leave it out for /dev/ummunotify',
        },
      ]);
    });
  }

  it('refuses a name that there is not', () => {
    for (const name of ['uffd', null, {}, 1]) {
      assert.throws(() => chooseMonitor(name as MonitorName, CONTEXT, {}), {
        code: 'ERR_INVALID_OPTION',
        message: /option monitor is one of auto, ummunotify, userfaultfd, malloc-hooks, none, or a monitor/,
      });
    }
  });

  it('says that a monitor which the program brings was given', () => {
    const { monitor, registrar } = new AddressSpace();
    using cache = new RegistrationCache({ monitor, registrar });
    assert.deepEqual(cache.monitorChoice, { kind: 'model', wanted: 'given', by: 'program', passedOver: [] });
  });
});

const program = fileURLToPath(new URL('./warned.js', import.meta.url));

/** The warnings that came of choosing so, in all threads. */
function warnings(args: readonly string[], env: Record<string, string> = {}): string[] {
  const output = execFileSync(process.execPath, ['--no-warnings', program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, RDMA_REGCACHE_DEVICE: NOWHERE.device, ...env },
  });
  return output.split('\n').filter(Boolean);
}

describe('the warning that nothing is cached', function () {
  this.timeout(60_000);

  it('is given once, however many caches there are, with a code, the reason and what to do', () => {
    const given = warnings(['-', 'here', 'here']);
    assert.equal(given.length, 1);
    assert.match(
      given[0],
      /^RegcacheWarning RDMA_REGCACHE_NO_MONITOR nothing watches .* there is no \/dev\/no-ummunotify; the device is /,
    );
  });

  it('is not given again in the threads of one that had it', () => {
    assert.equal(warnings(['auto', 'here', 'threads']).length, 1);
  });

  it('is given by each thread whose parent had none', () => {
    assert.equal(warnings(['auto', 'threads']).length, 2);
  });

  it('is not given to who asked for none', () => {
    assert.deepEqual(warnings(['none', 'here']), []);
    assert.deepEqual(warnings(['-', 'here'], { RDMA_REGCACHE_MONITOR: 'none' }), []);
  });

  it('has a sibling that tells of a slip in the name of a variable', () => {
    const given = warnings(['none', 'here', 'here'], { RDMA_REGCACHE_MONITER: 'none' });
    assert.equal(given.length, 1);
    assert.match(
      given[0],
      /^RegcacheWarning RDMA_REGCACHE_UNKNOWN_VARIABLE RDMA_REGCACHE_MONITER: there is no such variable; there are RDMA_REGCACHE_MONITOR, /,
    );
  });
});
