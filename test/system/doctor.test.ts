import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { doctor, type DoctorReport, finding } from '../cli.js';
import { requireStack } from './stack.js';

describe('doctor, on a machine with the driver and a device', function () {
  this.timeout(120_000);

  requireStack();

  let status: number | null;
  let report: DoctorReport;
  before(() => {
    ({ status, report } = doctor());
  });

  it('says that safe caching will work', () => {
    assert.equal(report.ok, true, JSON.stringify(report.findings));
    assert.equal(status, 0);
  });

  it('has had the driver grant all its features', () => {
    assert.deepEqual(finding(report, 'features').facts, {
      offered: ['kind', 'translation', 'generation', 'batch'],
      missing: [],
    });
    const { loaded } = finding(report, 'module').facts as { loaded: { parameters: { max_ranges: number } } };
    const set = readFileSync('/sys/module/ummunotify/parameters/max_ranges', 'utf8');
    assert.equal(loaded.parameters.max_ranges, Number(set));
  });

  it('has opened the device, with its limits and its active port', () => {
    const { status: found, facts } = finding(report, 'rdma');
    assert.equal(found, 'ok');
    assert.ok((facts!['maxMemoryRegions'] as number) > 0);
    assert.ok((facts!['ports'] as { state: string }[]).some(({ state }) => state === 'active'));
    assert.match(finding(report, 'fork').facts!['status'] as string, /^(unneeded|enabled|disabled|unknown)$/);
  });

  it('has opened the connection manager', () => {
    const { status: found, text, facts } = finding(report, 'librdmacm');
    assert.equal(found, 'ok', text);
    assert.match(facts!['path'] as string, /\/librdmacm\.so/);
  });

  it('has registered memory and seen the cache let go of it', () => {
    const { facts } = finding(report, 'end-to-end');
    const { tried, moved, invalidations, registered, hits } = facts!;
    assert.deepEqual(
      { tried, moved, invalidations, registered, hits },
      { tried: true, moved: true, invalidations: 1, registered: 0, hits: 1 },
    );
    assert.equal(finding(report, 'monitor').facts!['kind'], 'ummunotify');
  });

  it('says that it will not where the environment turns the monitor off', () => {
    const { status, report } = doctor({ RDMA_REGCACHE_MONITOR: 'none' });
    assert.equal(status, 1);
    assert.equal(finding(report, 'end-to-end').text, 'could not be tried: nothing watches the memory');
    assert.equal(finding(report, 'rdma').status, 'ok');
  });

  it('says that it will not with a monitor that does not see everything, though that works', () => {
    const { status, report } = doctor({ RDMA_REGCACHE_MONITOR: 'userfaultfd' });
    assert.equal(status, 1);
    assert.equal(finding(report, 'monitor').facts!['kind'], 'userfaultfd');
    assert.equal(finding(report, 'end-to-end').facts!['moved'], true);
  });
});
