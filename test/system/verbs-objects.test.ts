import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { Access } from '../../src/access.js';
import { PROT_READ } from '../../src/system/libc.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import type { Context } from '../../src/verbs/context.js';
import { listDevices, openDevice } from '../../src/verbs/device.js';
import { IbverbsRegistrar } from '../../src/verbs/registrar.js';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';
import type { Registrar } from '../../src/cache/registrar.js';
import type { MemoryRegion } from '../../src/verbs/memory-region.js';
import { needs } from '../needs.js';
import { ALL_ACCESS, Side } from './verbs-fixture.js';

const openFiles = (): number => readdirSync('/proc/self/fd').length;
const pinnedBytes = (): number =>
  Number(/^VmPin:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]) * 1024;

describe('an RDMA device', () => {
  before(function () {
    needs(this, 'rdma-device');
  });

  it('is_listed_with_name_guid_and_transport', () => {
    const [device] = listDevices();
    const sysfs = readFileSync(`/sys/class/infiniband/${device.name}/node_guid`, 'latin1');
    assert.equal(device.guid, sysfs.trim().replaceAll(':', ''));
    assert.ok(readdirSync('/dev/infiniband').includes(device.deviceFile));
    assert.equal(device.transport, 'InfiniBand');
    assert.equal(device.nodeType, 'channel adapter');
  });

  it('opens_by_name_and_without', () => {
    const { name } = listDevices()[0];
    for (const asked of [name, undefined]) {
      using context = openDevice(asked);
      assert.equal(context.device.name, name);
    }
  });

  it('of_another_name_is_missing_and_the_ones_present_are_named', () => {
    const { name } = listDevices()[0];
    assert.throws(() => openDevice('nope0'), {
      code: 'ERR_NO_RDMA_DEVICE',
      message: new RegExp(`no RDMA device 'nope0'; there is .*${name}`),
    });
  });

  it('tells_its_limits', () => {
    using context = openDevice();
    const attributes = context.queryDevice();
    // As ibv_devinfo(1) says.
    const info = spawnSync('ibv_devinfo', ['-v', '-d', context.device.name], { encoding: 'utf8' });
    if (info.status === 0) {
      const value = (name: string): number =>
        Number(new RegExp(`\\b${name}:\\s+(\\S+)`).exec(info.stdout)![1]);
      assert.equal(attributes.maxMemoryRegions, value('max_mr'));
      assert.equal(attributes.maxQueuePairs, value('max_qp'));
      assert.equal(attributes.maxWorkRequests, value('max_qp_wr'));
      assert.equal(attributes.maxSegments, value('max_sge'));
      assert.equal(attributes.maxCompletionQueueEntries, value('max_cqe'));
      assert.equal(attributes.maxReadsAccepted, value('max_qp_rd_atom'));
      assert.equal(attributes.maxReadsInitiated, value('max_qp_init_rd_atom'));
      assert.equal(attributes.vendorId, value('vendor_id'));
      assert.equal(attributes.ports, value('phys_port_cnt'));
      const port = context.queryPort();
      assert.equal(port.activeMtu, value('active_mtu'));
      assert.equal(port.lid, value('port_lid'));
    }
    assert.ok(attributes.maxMemoryRegionLength > 2 ** 30);
    assert.match(attributes.firmware, /^[\w.]*$/);
  });

  it('tells_the_state_of_its_port_and_its_gids', () => {
    using context = openDevice();
    const port = context.queryPort(1);
    const state = readFileSync(`/sys/class/infiniband/${context.device.name}/ports/1/state`, 'latin1');
    assert.equal(port.state, state.trim().split(' ')[1].toLowerCase());
    assert.equal(
      port.linkLayer,
      readFileSync(`/sys/class/infiniband/${context.device.name}/ports/1/link_layer`, 'latin1').trim(),
    );
    assert.ok([256, 512, 1024, 2048, 4096].includes(port.activeMtu));
    const table = context.gidTable(1);
    const folder = `/sys/class/infiniband/${context.device.name}/ports/1/gids`;
    for (const entry of table) {
      assert.equal(entry.gid, readFileSync(`${folder}/${entry.index}`, 'latin1').trim());
      assert.deepEqual(context.queryGid(1, entry.index), entry);
    }
    assert.ok(table.length > 0 && table.length <= port.gidTableLength);
    assert.throws(() => context.queryPort(99), { code: 'EINVAL', syscall: 'ibv_query_port' });
    assert.throws(() => context.queryGid(1, port.gidTableLength - 1), { syscall: 'ibv_query_gid_ex' });
    assert.match(context.forkStatus, /^(disabled|enabled|unneeded)$/);
  });
});

describe('verbs objects', () => {
  before(function () {
    needs(this, 'rdma-device');
  });

  it('close_twice_and_use_after_close', () => {
    const side = new Side();
    const { context, pd, cq, qp } = side;
    const { region } = side.memory(PAGE_SIZE);
    side.close();
    for (const each of [region, qp, cq, pd, context]) {
      each.close();
      each[Symbol.dispose]();
      assert.ok(each.closed);
      assert.throws(() => each.pointer, { code: 'ERR_CLOSED' });
    }
    const uses: (() => unknown)[] = [
      () => context.queryDevice(),
      () => context.queryPort(),
      () => context.gidTable(),
      () => context.createProtectionDomain(),
      () => context.createCompletionQueue(),
      () => context.createCompletionQueue({ events: true }),
      () => pd.register(4096, 4096, 0),
      () => pd.createQueuePair({ sendQueue: cq }),
      () => cq.poll(),
      () => {
        qp.postSend(new SendRequests().send(1, 0, 0, 0));
      },
      () => {
        qp.postReceive(new ReceiveRequests().receive(1, 0, 0, 0));
      },
      () => qp.queryState(),
      () => qp.toInit(),
    ];
    for (const use of uses) assert.throws(use, { code: 'ERR_CLOSED' }, use.toString());
  });

  it('a_parent_with_living_children_is_busy_and_says_with_what', () => {
    const side = new Side();
    const { region } = side.memory(PAGE_SIZE);
    const busy = (what: RegExp) => ({ code: 'ERR_BUSY', message: what });
    assert.throws(
      () => {
        side.pd.close();
      },
      busy(/protection domain is used by 1 queue pair, 1 memory region/),
    );
    assert.throws(
      () => {
        side.cq.close();
      },
      busy(/completion queue is used by 1 queue pair;/),
    );
    assert.throws(
      () => {
        side.context.close();
      },
      busy(/device context is used by 1 protection domain, 1 completion queue/),
    );
    side.qp.close();
    assert.throws(
      () => {
        side.pd.close();
      },
      busy(/used by 1 memory region;/),
    );
    // Still usable.
    side.pd.register(region.address, 100, Access.LOCAL_WRITE).close();
    side.close();
  });

  it('leave_nothing_open_or_pinned', () => {
    new Side().close();
    const files = openFiles();
    const pinned = pinnedBytes();
    for (let round = 0; round < 20; round++) {
      const side = new Side();
      side.memory(16 * PAGE_SIZE);
      assert.equal(pinnedBytes(), pinned + 16 * PAGE_SIZE);
      side.close();
    }
    assert.equal(openFiles(), files);
    assert.equal(pinnedBytes(), pinned);
  });

  it('leave_nothing_behind_when_making_one_fails', () => {
    const files = openFiles();
    const context = openDevice();
    const inside = openFiles();
    for (const events of [false, true]) {
      assert.throws(() => context.createCompletionQueue({ entries: 0x7fff_ffff, events }), {
        code: 'EINVAL',
        syscall: 'ibv_create_cq',
      });
    }
    assert.equal(openFiles(), inside);
    const pd = context.createProtectionDomain();
    const cq = context.createCompletionQueue();
    for (let i = 0; i < 3; i++) {
      assert.throws(() => pd.createQueuePair({ sendQueue: cq, maxSends: 0x7fff_ffff }), {
        code: 'EINVAL',
        syscall: 'ibv_create_qp',
      });
      assert.throws(() => pd.register(4096, 4096, 0), { code: 'ERR_NOT_MAPPED' });
    }
    cq.close();
    pd.close();
    context.close();
    assert.equal(openFiles(), files);
  });

  it('of_two_contexts_do_not_mix', () => {
    using one = openDevice();
    using other = openDevice();
    using pd = one.createProtectionDomain();
    using cq = other.createCompletionQueue();
    assert.throws(() => pd.createQueuePair({ sendQueue: cq }), { code: 'ERR_INVALID_OPTION' });
  });

  it('options_out_of_range_are_refused', () => {
    using context = openDevice();
    for (const entries of [0, -1, 1.5, 2 ** 31, NaN]) {
      assert.throws(() => context.createCompletionQueue({ entries }), { code: 'ERR_INVALID_OPTION' });
    }
  });

  it('a_queue_pair_goes_through_its_states_in_order', () => {
    using context = openDevice();
    using pd = context.createProtectionDomain();
    using cq = context.createCompletionQueue();
    using qp = pd.createQueuePair({ sendQueue: cq });
    assert.equal(qp.queryState(), 'RESET');
    assert.throws(() => qp.local, { code: 'ERR_INVALID_OPTION' });
    const local = qp.toInit({ psn: 0x123456 });
    assert.equal(qp.queryState(), 'INIT');
    assert.equal(local.psn, 0x123456);
    assert.deepEqual(JSON.parse(JSON.stringify(local)), local);
    assert.throws(
      () => {
        qp.toReadyToSend(local);
      },
      { code: 'EINVAL', syscall: 'ibv_modify_qp', message: /to RTS/ },
    );
    qp.toReadyToReceive(local);
    assert.equal(qp.queryState(), 'RTR');
    qp.toReadyToSend(local);
    assert.equal(qp.queryState(), 'RTS');
    qp.toError();
    assert.equal(qp.queryState(), 'ERR');
  });

  it('an_unconnected_queue_pair_does_not_send', () => {
    using context = openDevice();
    using pd = context.createProtectionDomain();
    using cq = context.createCompletionQueue();
    using qp = pd.createQueuePair({ sendQueue: cq });
    assert.throws(
      () => {
        qp.postSend(new SendRequests().send(1, 0, 0, 0));
      },
      { code: 'EINVAL', syscall: 'ibv_post_send', message: /not connected/ },
    );
  });
});

describe('a memory region', () => {
  let context: Context;
  before(function () {
    needs(this, 'rdma-device');
    context = openDevice();
  });
  after(() => {
    (context as Context | undefined)?.close();
  });

  it('has_keys_and_covers_exactly_what_was_asked', () => {
    using pd = context.createProtectionDomain();
    const address = map(4 * PAGE_SIZE);
    using region = pd.register(address + 10, 100, ALL_ACCESS);
    using second = pd.register(address, 4 * PAGE_SIZE, Access.LOCAL_WRITE | Access.RELAXED_ORDERING);
    assert.deepEqual([region.address, region.length, region.access], [address + 10, 100, ALL_ACCESS]);
    assert.ok(region.lkey > 0 && region.rkey > 0);
    assert.notEqual(region.lkey, second.lkey);
  });

  it('of_nothing_or_of_nonsense_is_refused', () => {
    using pd = context.createProtectionDomain();
    const cases: [number, number, number, string][] = [
      [4096, 0, 0, 'ERR_INVALID_LENGTH'],
      [4096, -1, 0, 'ERR_INVALID_LENGTH'],
      [4096, 1.5, 0, 'ERR_INVALID_LENGTH'],
      [-4096, 1, 0, 'ERR_INVALID_ADDRESS'],
      [NaN, 1, 0, 'ERR_INVALID_ADDRESS'],
      [2 ** 53, 1, 0, 'ERR_INVALID_ADDRESS'],
      [4096, 1, Access.REMOTE_WRITE, 'ERR_INVALID_ACCESS'],
      [4096, 1, Access.REMOTE_ATOMIC, 'ERR_INVALID_ACCESS'],
      [4096, 1, 1 << 10, 'ERR_INVALID_ACCESS'],
    ];
    for (const [address, length, access, code] of cases) {
      assert.throws(() => pd.register(address, length, access), { code });
    }
  });

  it('of_unmapped_memory_is_refused_with_errno_and_range', () => {
    using pd = context.createProtectionDomain();
    const address = map(3 * PAGE_SIZE);
    unmap(address + PAGE_SIZE, PAGE_SIZE);
    const pinned = pinnedBytes();
    assert.throws(() => pd.register(address, 3 * PAGE_SIZE, Access.LOCAL_WRITE), {
      code: 'ERR_NOT_MAPPED',
      errno: -14,
      syscall: 'ibv_reg_mr',
      address,
      length: 3 * PAGE_SIZE,
    });
    assert.equal(pinnedBytes(), pinned, 'the pages before the hole are not left pinned');
  });

  it('of_read_only_memory_needs_read_access', () => {
    using pd = context.createProtectionDomain();
    const address = map(PAGE_SIZE, { prot: PROT_READ });
    assert.throws(() => pd.register(address, PAGE_SIZE, Access.LOCAL_WRITE), {
      code: 'ERR_NOT_MAPPED',
      message: /or are mapped read-only/,
    });
    pd.register(address, PAGE_SIZE, Access.NONE).close();
  });

  it('is_made_and_unmade_by_the_registrar', () => {
    using pd = context.createProtectionDomain();
    const registrar: Registrar<MemoryRegion> = new IbverbsRegistrar(pd);
    assert.equal(registrar.kind, `ibverbs:${context.device.name}`);
    const address = map(2 * PAGE_SIZE);
    registrar.prefault!(address, 2 * PAGE_SIZE, true);
    const region = registrar.register(address, 2 * PAGE_SIZE, ALL_ACCESS);
    assert.equal(registrar.lkey(region), region.lkey);
    assert.equal(registrar.rkey(region), region.rkey);
    registrar.deregister(region);
    assert.ok(region.closed);
  });
});

describe('without privileges', function () {
  // Another Node starts, on a debug kernel in the better part of a minute.
  this.timeout(180_000);

  const NOBODY = 65534;
  const module = (name: string): string => new URL(`../../src/${name}.js`, import.meta.url).href;

  before(function () {
    needs(this, 'rdma-device');
    needs(this, 'root');
  });

  /** Run a program as another user; its output as JSON. */
  function asNobody(program: string, limit = 'unlimited'): Record<string, unknown> {
    const script = `
      const { listDevices, openDevice } = await import(${JSON.stringify(module('verbs/device'))});
      const { map } = await import(${JSON.stringify(module('system/mapping'))});
      // Rights go once everything is loaded: an ordinary user need not be able to read this folder.
      listDevices();
      process.setgroups([]);
      process.setgid(${NOBODY});
      process.setuid(${NOBODY});
      try { ${program} } catch (error) { console.log(JSON.stringify({ ...error, message: error.message })); }`;
    const child = spawnSync(
      'bash',
      ['-c', `ulimit -l ${limit} && exec "$0" --input-type=module -e "$1"`, process.execPath, script],
      { encoding: 'utf8', env: { PATH: process.env['PATH'] } },
    );
    assert.equal(child.status, 0, child.stderr);
    return JSON.parse(child.stdout) as Record<string, unknown>;
  }

  it('opening_the_device_names_the_file_and_the_group', () => {
    const path = `/dev/infiniband/${listDevices()[0].deviceFile}`;
    const mode = statSync(path).mode;
    chmodSync(path, 0o600);
    try {
      const error = asNobody('openDevice();', '64');
      assert.deepEqual([error['code'], error['path']], ['ERR_RDMA_ACCESS', path]);
      assert.match(error['message'] as string, /group rdma/);
    } finally {
      chmodSync(path, mode & 0o777);
    }
  });

  it('the_limit_of_locked_memory_is_named', () => {
    const path = `/dev/infiniband/${listDevices()[0].deviceFile}`;
    const mode = statSync(path).mode;
    chmodSync(path, 0o666);
    try {
      const error = asNobody(
        'openDevice().createProtectionDomain().register(map(1 << 20), 1 << 20, 1); console.log("{}");',
        '512',
      );
      assert.deepEqual([error['code'], error['errno'], error['length']], ['ERR_MEMLOCK_LIMIT', -12, 1 << 20]);
      assert.match(error['message'] as string, /the limit is 524288; raise it with `ulimit -l unlimited`/);
    } finally {
      chmodSync(path, mode & 0o777);
    }
  });
});
