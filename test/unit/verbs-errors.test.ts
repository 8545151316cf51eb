import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import { E } from '../../src/system/libc.js';
import { listDevices, openDevice } from '../../src/verbs/device.js';
import { chooseGid, formatGid, parseGid, type GidEntry } from '../../src/verbs/gid.js';
import { loadLibrary } from '../../src/verbs/library.js';
import { takeEndpoint, type QueuePairEndpoint } from '../../src/verbs/queue-pair-endpoint.js';
import { pinningLimit, registrationError } from '../../src/verbs/registration-error.js';
import { completionError, COMPLETION_STATUSES, describeStatus } from '../../src/verbs/work-completion.js';

describe('libibverbs', () => {
  it('missing_library_names_the_package', () => {
    assert.throws(() => loadLibrary('libibverbs-that-is-not-there.so.1'), {
      code: 'ERR_NO_LIBIBVERBS',
      message: /libibverbs1 and ibverbs-providers/,
    });
  });

  it('a_library_without_the_functions_is_too_old', () => {
    assert.throws(() => loadLibrary('libc.so.6'), { code: 'ERR_NO_LIBIBVERBS', message: /too old/ });
  });

  it('listing_devices_works_without_any', () => {
    for (const device of listDevices()) assert.match(device.guid, /^[0-9a-f]{16}$/);
  });

  it('a_device_of_another_name_is_missing', () => {
    assert.throws(() => openDevice('no_such_device'), {
      code: 'ERR_NO_RDMA_DEVICE',
      message: /no RDMA device 'no_such_device'/,
    });
  });
});

describe('a refused registration', () => {
  const KIB = 1024;
  const refused = (limit: number, pinned: number, exempt = false) =>
    registrationError(E.ENOMEM, 0x10000, 8192, Access.LOCAL_WRITE, () => ({ limit, pinned, exempt }));

  it('names_the_limit_when_it_explains_ENOMEM', () => {
    const error = refused(64 * KIB, 60 * KIB);
    assert.equal(error.code, 'ERR_MEMLOCK_LIMIT');
    assert.match(error.message, /ulimit -l unlimited.*limits\.conf.*LimitMEMLOCK/);
    assert.deepEqual(
      [error.errno, error.syscall, error.address, error.length],
      [-E.ENOMEM, 'ibv_reg_mr', 0x10000, 8192],
    );
  });

  it('does_not_blame_the_limit_otherwise', () => {
    assert.equal(refused(64 * KIB, 56 * KIB).code, 'ENOMEM', 'fits exactly');
    assert.equal(refused(64 * KIB, 60 * KIB, true).code, 'ENOMEM', 'CAP_IPC_LOCK');
    assert.equal(refused(Infinity, 2 ** 40).code, 'ENOMEM', 'unlimited');
  });

  it('counts_both_pages_that_a_range_touches', () => {
    const error = (address: number) =>
      registrationError(E.ENOMEM, address, 4096, 0, () => ({ limit: 4096, pinned: 0, exempt: false }));
    assert.equal(error(0x10_0000).code, 'ENOMEM');
    assert.equal(error(0x10_0001).code, 'ERR_MEMLOCK_LIMIT');
  });

  it('keeps_the_errno_of_every_kind', () => {
    const codes = (errno: number): [string, number | undefined] => {
      const error = registrationError(errno, 0x1000, 1, Access.LOCAL_WRITE);
      return [error.code, error.errno];
    };
    assert.deepEqual(codes(E.EFAULT), ['ERR_NOT_MAPPED', -E.EFAULT]);
    assert.deepEqual(codes(E.EACCES), ['ERR_READ_ONLY_MEMORY', -E.EACCES]);
    assert.deepEqual(codes(E.EINVAL), ['EINVAL', -E.EINVAL]);
    assert.deepEqual(codes(E.EMFILE), ['EMFILE', -E.EMFILE]);
  });

  it('reads_limit_use_and_capability_from_proc', () => {
    const limits = 'Max locked memory         65536                unlimited            bytes     \n';
    const status = (cap: string) => `VmLck:\t       4 kB\nVmPin:\t      12 kB\nCapEff:\t${cap}\n`;
    const all = '         0          0 4294967295\n';
    const none = '0000000000000000';
    assert.deepEqual(pinningLimit(limits, status(none), all), {
      limit: 65536,
      pinned: 12288,
      exempt: false,
    });
    assert.ok(pinningLimit(limits, status('0000000000004000'), all).exempt);
    assert.ok(!pinningLimit(limits, status('000001ffffffbfff'), all).exempt);
    assert.ok(!pinningLimit(limits, status('000001ffffffffff'), '0 1000 1\n').exempt, 'user namespace');
    assert.equal(pinningLimit(limits.replace('65536', 'unlimited'), status(none), all).limit, Infinity);
    assert.ok(pinningLimit().limit > 0);
  });
});

describe('a failed work request', () => {
  it('becomes_an_error_that_says_how', () => {
    const error = completionError({ id: 7, status: 'REM_ACCESS_ERR', qpNumber: 17, vendorError: 0x88 });
    assert.equal(error.code, 'ERR_WORK_COMPLETION');
    assert.equal(error.status, 10);
    assert.match(error.message, /request 7 of queue pair 17.*REM_ACCESS_ERR.*rkey.*vendor error 0x88/);
  });

  it('has_a_meaning_for_every_status', () => {
    for (const status of COMPLETION_STATUSES) assert.ok(describeStatus(status).length > 3);
  });
});

describe('a GID', () => {
  const entry = (gid: string, index: number, type: GidEntry['type'] = 'RoCE v2'): GidEntry => ({
    gid,
    index,
    port: 1,
    type,
    interfaceIndex: 2,
  });
  const local = 'fe80:0000:0000:0000:0c4d:c3ff:fe42:f21e';
  const ipv4 = '0000:0000:0000:0000:0000:ffff:c000:0201';
  const ipv6 = '2001:0db8:0000:0000:0000:0000:0000:0001';

  it('survives_text', () => {
    assert.equal(formatGid(parseGid(ipv4)), ipv4);
    assert.equal(parseGid(ipv4).toString('hex'), '00000000000000000000ffffc0000201');
    for (const bad of ['', 'fe80::1', `${ipv4}:0000`, ipv4.replace('c', 'g')]) {
      assert.throws(() => parseGid(bad), { code: 'ERR_INVALID_OPTION' });
    }
  });

  it('is_chosen_routable_first', () => {
    const table = [
      entry(ipv4, 0, 'RoCE v1'),
      entry(local, 1),
      entry(ipv6, 2),
      entry(ipv4, 3),
      entry(ipv4, 4),
    ];
    assert.equal(chooseGid(table)!.index, 3);
    assert.equal(chooseGid(table.slice(0, 3))!.index, 2);
    assert.equal(chooseGid(table.slice(0, 2))!.index, 1);
    assert.equal(chooseGid(table.slice(0, 1))!.index, 0);
    assert.equal(chooseGid([]), undefined);
  });
});

describe('a remote endpoint', () => {
  const good: QueuePairEndpoint = {
    qpNumber: 17,
    psn: 0xff_ffff,
    port: 1,
    lid: 0,
    gid: '0000:0000:0000:0000:0000:ffff:c000:0201',
    mtu: 1024,
    readsAccepted: 16,
    readsInitiated: 16,
  };

  it('survives_json', () => {
    takeEndpoint(JSON.parse(JSON.stringify(good)) as QueuePairEndpoint);
    takeEndpoint({ ...good, gid: null });
  });

  it('is_refused_naming_the_field', () => {
    const bad = [
      { qpNumber: 2 ** 24 },
      { psn: -1 },
      { port: 0 },
      { lid: 1.5 },
      { mtu: 128 },
      { mtu: 1000 },
      { gid: 'nonsense' },
      { gid: undefined as unknown as null },
      { readsAccepted: '16' as unknown as number },
    ];
    for (const change of bad) {
      assert.throws(
        () => {
          takeEndpoint({ ...good, ...change });
        },
        { code: 'ERR_INVALID_OPTION' },
        JSON.stringify(change),
      );
    }
  });
});
