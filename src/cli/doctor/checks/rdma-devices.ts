import { existsSync, readdirSync } from 'node:fs';
import { RegcacheError } from '../../../errors.js';
import type { Context, PortAttributes } from '../../../verbs/context.js';
import { type Device, listDevices, openDevice } from '../../../verbs/device.js';
import { modeOf } from '../../mode.js';
import { installCommand } from '../../programs.js';
import type { Finding } from '../finding.js';

const KERNEL_DEVICES = '/sys/class/infiniband';

/** A line for each device, and what becomes of a fork. */
export function check(): Finding[] {
  const devices = listDevices();
  if (devices.length === 0) return [none()];
  return devices.flatMap(describeDevice);
}

function none(): Finding {
  const inKernel = existsSync(KERNEL_DEVICES) ? readdirSync(KERNEL_DEVICES) : [];
  if (inKernel.length !== 0) {
    return {
      status: 'problem',
      text: `the kernel has ${inKernel.join(', ')}, and libibverbs no provider for it`,
      mend: installCommand({ apt: ['ibverbs-providers'], dnf: ['libibverbs'] }),
    };
  }
  return {
    status: 'problem',
    text: 'there is no RDMA device',
    mend: 'load the driver of the network card, or make a software device: sudo modprobe rdma_rxe && sudo rdma link add rxe0 type rxe netdev eth0',
  };
}

function describeDevice(device: Device): Finding[] {
  const path = `/dev/infiniband/${device.deviceFile}`;
  const node = { name: device.name, path, mode: modeOf(path) };
  let context: Context;
  try {
    context = openDevice(device.name);
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return [{ status: 'problem', text: `${device.name}: ${error.reason}`, mend: error.advice, facts: node }];
  }
  using open = context;
  return [describeOpen(open, node), describeFork(open)];
}

function describeOpen(
  context: Context,
  node: { name: string; path: string; mode: string | undefined },
): Finding {
  const limits = context.queryDevice();
  const ports = Array.from({ length: limits.ports }, (_, index) => context.queryPort(index + 1));
  const { maxMemoryRegions, maxMemoryRegionLength, maxQueuePairs, firmware } = limits;
  const facts = {
    ...node,
    transport: context.device.transport,
    firmware,
    maxMemoryRegions,
    maxMemoryRegionLength,
    maxQueuePairs,
    ports: ports.map(({ port, state, linkLayer }) => ({ port, state, linkLayer })),
  };
  const largest =
    maxMemoryRegionLength === Number.MAX_SAFE_INTEGER
      ? 'of any size'
      : `of up to ${maxMemoryRegionLength} bytes`;
  const more = [`up to ${maxMemoryRegions} registrations ${largest}; ${node.path} ${node.mode ?? '-'}`];
  const text = `${node.name}: ${ports.map(describePort).join(', ')}`;
  if (ports.some(({ state }) => state === 'active')) return { status: 'ok', text, more, facts };
  return {
    status: 'problem',
    text: `${text}; no port is active`,
    mend: 'bring the network interface up (sudo ip link set IFACE up; see: rdma link), or the InfiniBand subnet manager',
    more,
    facts,
  };
}

const describePort = ({ port, state, linkLayer }: PortAttributes): string =>
  `port ${port} ${state} (${linkLayer})`;

function describeFork({ device, forkStatus }: Context): Finding {
  const found = { id: 'fork', facts: { device: device.name, status: forkStatus } };
  switch (forkStatus) {
    case 'unneeded':
      return { ...found, status: 'ok', text: 'pinned pages stay with this process when it starts others' };
    case 'enabled':
      return {
        ...found,
        status: 'warning',
        text: 'libibverbs keeps registered memory from child processes (RDMAV_FORK_SAFE), page by page: slow',
        mend: 'use Linux 5.12 or later and rdma-core 35 or later, without RDMAV_FORK_SAFE',
      };
    default:
      return {
        ...found,
        status: 'warning',
        text: `fork support is ${forkStatus}: starting a child process may part registered memory from its addresses`,
        mend: 'use Linux 5.12 or later and rdma-core 35 or later',
      };
  }
}
