import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { examine, type Report } from '../../src/cli/doctor/examine.js';
import { judge as judgeConnectionManager } from '../../src/cli/doctor/checks/librdmacm.js';
import { judge as judgeMemlock } from '../../src/cli/doctor/checks/memlock.js';
import { judge as judgeModule } from '../../src/cli/doctor/checks/module.js';
import { render } from '../../src/cli/doctor/render.js';
import { plain } from '../../src/cli/terminal.js';
import { loadLibrary } from '../../src/cm/library.js';
import { regcacheError, type RegcacheError } from '../../src/errors.js';
import { cli, doctor, finding } from '../cli.js';

const NOWHERE = '/dev/no-ummunotify';

describe('doctor, on a machine without the driver', function () {
  this.timeout(60_000);

  it('says that caching will not work, why, and how to mend it', () => {
    const { status, report } = doctor({ RDMA_REGCACHE_DEVICE: NOWHERE });
    assert.equal(status, 1);
    assert.equal(report.schema, 1);
    assert.equal(report.ok, false);
    assert.equal(report.node, process.version);
    assert.equal(finding(report, 'kernel').facts!['release'], release());
    const device = finding(report, 'device');
    assert.equal(device.status, 'problem');
    assert.equal(device.text, `RDMA_REGCACHE_DEVICE=${NOWHERE}: there is no ${NOWHERE}`);
    assert.match(device.mend!, /module install/);
    const { status: chosen, facts } = finding(report, 'monitor');
    assert.equal(chosen, 'problem');
    assert.equal(facts!['kind'], 'none');
    assert.equal((facts!['passedOver'] as { code: string }[])[0].code, 'ERR_NO_MONITOR');
    assert.deepEqual(finding(report, 'environment').facts!['set'], { RDMA_REGCACHE_DEVICE: NOWHERE });
  });

  it('says what checking costs', () => {
    const { report } = doctor({ RDMA_REGCACHE_DEVICE: NOWHERE, RDMA_REGCACHE_CHECKING: '1' });
    const said = report.findings.filter(({ id }) => id === 'environment').at(-1)!;
    // Who may not see page frames cannot make a cache.
    assert.equal(said.status, process.getuid!() === 0 ? 'warning' : 'problem');
    assert.equal(said.mend, 'unset RDMA_REGCACHE_CHECKING');
  });

  it('finds something to say of everything, each with a status', () => {
    const { report } = doctor({ RDMA_REGCACHE_DEVICE: NOWHERE });
    assert.deepEqual(
      [...new Set(report.findings.map(({ id }) => id))].filter((id) => id !== 'fork'),
      [
        ...[
          'kernel',
          'module',
          'device',
          'userfaultfd',
          'malloc-hooks',
          'compiler',
          'libibverbs',
          'librdmacm',
          'rdma',
          'memlock',
        ],
        ...['hugepages', 'iommu', 'environment', 'monitor', 'end-to-end'],
      ],
    );
    for (const { status, text } of report.findings) {
      assert.match(status, /^(ok|warning|problem)$/);
      assert.match(text, /\S/);
      assert.doesNotMatch(text, /undefined|NaN|TypeError|\[object/);
    }
  });

  it('names the races of the monitors that do not keep the promise', () => {
    const { stdout } = cli(['doctor'], { RDMA_REGCACHE_DEVICE: NOWHERE });
    assert.match(stdout, /userfaultfd [^]*Unmapping is reported when the address range is free again/);
    assert.match(stdout, /malloc-hooks /);
    assert.doesNotMatch(stdout, /\x1b/, 'no colours in a pipe');
    assert.match(stdout, /RDMA with safe caching will not work: \d problems/);
  });

  it('takes a choice of the environment that is not safe for a problem, and a slip for a warning', () => {
    const { status, report } = doctor({ RDMA_REGCACHE_MONITOR: 'none', RDMA_REGCACHE_MONITER: 'x' });
    assert.equal(status, 1);
    assert.match(finding(report, 'monitor').text, /a cache gets none, as the environment asks/);
    const slip = report.findings.find(({ status, id }) => id === 'environment' && status === 'warning');
    assert.match(slip!.text, /RDMA_REGCACHE_MONITER is set, and there is no such variable/);
  });

  it('warns of a connection manager that cannot be loaded', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
    try {
      writeFileSync(join(folder, 'librdmacm.so.1'), 'no library');
      const { report } = doctor({ LD_LIBRARY_PATH: folder, RDMA_REGCACHE_DEVICE: NOWHERE });
      const { status, text, facts } = finding(report, 'librdmacm');
      assert.deepEqual([status, facts], ['warning', { code: 'ERR_NO_LIBRDMACM' }]);
      assert.match(text, /^cannot load librdmacm\.so\.1; /);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('names a variable with a value that makes no sense, and goes on', () => {
    const { status, report } = doctor({ RDMA_REGCACHE_BYPASS: 'perhaps' });
    assert.equal(status, 1);
    const { status: found, text } = finding(report, 'environment');
    assert.equal(found, 'problem');
    assert.match(text, /RDMA_REGCACHE_BYPASS is 1 \| 0, not 'perhaps'/);
    assert.equal(finding(report, 'kernel').status, 'ok');
    // It is in the way of more than one check, and one problem.
    assert.equal(report.findings.filter((each) => each.text.includes("not 'perhaps'")).length, 1);
    assert.equal(finding(report, 'monitor').text, 'could not be looked into: see environment');
  });

  it('does without any program', () => {
    const empty = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
    try {
      const { status, report } = doctor({ PATH: empty, RDMA_REGCACHE_DEVICE: NOWHERE });
      assert.equal(status, 1);
      assert.deepEqual(finding(report, 'compiler').facts, { path: null });
      assert.match(finding(report, 'compiler').mend!, /apt-get install gcc/);
    } finally {
      rmSync(empty, { recursive: true });
    }
  });
});

describe('doctor: what it does with what it finds', () => {
  it('goes on when something cannot be looked into, and reports it', async () => {
    const report = await examine([
      ['missing', () => Promise.reject(new Error('no such library'))],
      ['thrown', () => Promise.resolve({ check: thrown })],
      ['fine', () => Promise.resolve({ check: () => ({ status: 'ok', text: 'fine' }) })],
    ]);
    assert.equal(report.ok, false);
    assert.deepEqual(report.findings, [
      { id: 'missing', status: 'problem', text: 'no such library', mend: undefined },
      {
        id: 'thrown',
        status: 'problem',
        text: 'it is gone',
        mend: 'get it',
        facts: { code: 'ERR_NO_MONITOR' },
      },
      { id: 'fine', status: 'ok', text: 'fine' },
    ]);
    function thrown(): never {
      throw regcacheError('ERR_NO_MONITOR', 'it is gone', { advice: 'get it' });
    }
  });

  it('is content without a problem, whatever it warns of', async () => {
    const { ok } = await examine([
      ['warned', () => Promise.resolve({ check: () => ({ status: 'warning', text: 'old' }) })],
    ]);
    assert.equal(ok, true);
  });

  it('aligns its lines', () => {
    const report: Report = {
      schema: 1,
      version: '1.2.3',
      node: 'v20',
      ok: false,
      findings: [
        { id: 'kernel', status: 'ok', text: 'Linux' },
        { id: 'end-to-end', status: 'problem', text: 'no', mend: 'do this', more: ['because'] },
        { id: 'x', status: 'warning', text: 'old' },
      ],
    };
    assert.equal(
      render(report, plain),
      [
        'rdma-regcache 1.2.3, Node v20',
        '',
        '  ok       kernel      Linux',
        '  problem  end-to-end  no',
        '                       - because',
        '                       -> do this',
        '  warning  x           old',
        '',
        'RDMA with safe caching will not work: 1 problem, 1 warning.',
        '',
      ].join('\n'),
    );
  });

  it('takes a limit of locked memory for what it allows', () => {
    const at = (limit: number, exempt = false): string => judgeMemlock({ limit, exempt }).status;
    assert.deepEqual(
      [at(0), at(0, true), at(65_536), at(8 * 2 ** 20), at(2 ** 30), at(Infinity)],
      ['problem', 'ok', 'warning', 'warning', 'ok', 'ok'],
    );
    assert.match(judgeMemlock({ limit: 8 * 2 ** 30, exempt: false }).text, /8 GiB/);
  });

  it('warns of a connection manager that is not there, and says what to install', () => {
    let error!: RegcacheError;
    try {
      loadLibrary('librdmacm-that-is-not-there.so.1');
    } catch (thrown) {
      error = thrown as RegcacheError;
    }
    const { status, text, mend, facts } = judgeConnectionManager(error);
    assert.deepEqual([status, facts], ['warning', { code: 'ERR_NO_LIBRDMACM' }]);
    assert.match(text, /cannot load librdmacm\S+; only connect and listen need it/);
    assert.match(mend!, /Debian and Ubuntu package librdmacm1/);
  });

  it('tells apart what can be amiss with the module', () => {
    const base = { kernel: '6.1', sources: { version: '1.0.0', folder: '/' } };
    const loaded = { version: '1.0.0', srcversion: 'A', parameters: {} };
    const installed = { version: '1.0.0', srcversion: 'A', path: '/x' };
    const say = (state: object) => {
      const { status, mend } = judgeModule({ ...base, loaded: null, installed: null, ...state });
      return [status, mend?.replace(/^sudo \S+ \S+ /, '')];
    };
    assert.deepEqual(say({}), ['problem', 'module install']);
    assert.deepEqual(say({ installed }), ['problem', 'sudo modprobe ummunotify']);
    assert.deepEqual(say({ loaded }), ['warning', 'module install']);
    assert.deepEqual(say({ loaded: { ...loaded, version: '0.9' }, installed }), [
      'warning',
      'module install',
    ]);
    assert.equal(say({ loaded, installed: { ...installed, srcversion: 'B' } })[0], 'warning');
    assert.deepEqual(say({ loaded, installed }), ['ok', undefined]);
  });
});
