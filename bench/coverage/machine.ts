/** What some changes need of the machine, for as long as they are tried. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../native/vm/cache-folder.js';
import { KERNELS } from '../../native/vm/kernel.js';

/** Two must be free: what a cell still pins while it makes new ones is a second. */
const HUGE_PAGES = 4;
const RAM_DISK = '/dev/ram0';
/** KiB. */
const SWAP_SIZE = 16_384;

type Undo = () => void;

/**
 * Provide huge pages and, in the virtual machine, swap space; what cannot be had is left out, and the changes that need
 * it tell so. On a real machine swap space is used if there is some.
 * @returns what puts all back
 */
export function prepareMachine(): Undo {
  const undo = [
    ...set('/proc/sys/vm/nr_hugepages', (was) => Math.max(was, HUGE_PAGES)),
    // It takes pages away for a moment, of registrations, too, which would be dropped for that.
    ...set('/proc/sys/kernel/numa_balancing', () => 0),
    ...(process.env['RDMA_REGCACHE_VM'] === '1' ? provideSwap() : []),
  ];
  return () => {
    while (undo.length > 0) undo.pop()!();
  };
}

function set(path: string, valueFor: (was: number) => number): Undo[] {
  try {
    const was = readFileSync(path, 'latin1').trim();
    writeFileSync(path, String(valueFor(Number(was))));
    return [
      () => {
        writeFileSync(path, was);
      },
    ];
  } catch {
    return [];
  }
}

/** A disk in memory: the guest has no other. */
function provideSwap(): Undo[] {
  const module = ramDiskModule();
  if (module === undefined || existsSync(RAM_DISK)) return [];
  if (!run('insmod', module, 'rd_nr=1', `rd_size=${SWAP_SIZE}`)) return [];
  const remove = (): void => {
    run('rmmod', 'brd');
  };
  if (!run('mkswap', RAM_DISK) || !run('swapon', RAM_DISK)) return [remove];
  return [
    remove,
    () => {
      run('swapoff', RAM_DISK);
    },
  ];
}

/** Of the kernel that the virtual machine has booted: the guest sees the folder that it came from. */
function ramDiskModule(): string | undefined {
  const kernel = join(cacheFolder(), KERNELS, release());
  const folder = join(kernel, 'lib/modules', release(), 'kernel/drivers/block');
  const name = existsSync(folder) && readdirSync(folder).find((file) => file.startsWith('brd.ko'));
  return name ? join(folder, name) : undefined;
}

function run(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
}
