import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { PROJECT } from './project.js';
import { runInVm, type VmOptions } from './run-in-vm.js';

/** Whether this machine itself has the driver's device and an RDMA device. */
export function hasDevice(): boolean {
  const devices = '/sys/class/infiniband';
  return existsSync('/dev/ummunotify') && existsSync(devices) && readdirSync(devices).length > 0;
}

/**
 * Runs a command where the RDMA device is: here if this machine has one, otherwise in the virtual machine. Output is
 * the command's.
 * @returns the command's exit status
 */
export function runWhereTheDeviceIs(argv: readonly string[], options: VmOptions): Promise<number> {
  return hasDevice() ? runHere(argv) : runInVm(argv, options);
}

/** Tells on stderr, where there is no device, what takes the next seconds. */
export function announceVm(): void {
  if (hasDevice()) return;
  process.stderr.write(
    'No RDMA device and driver here: booting a virtual machine that has both (about 10 s, emulated) ...\n',
  );
}

/** Runs a command on this machine, in the project's folder. */
export function runHere(argv: readonly string[]): Promise<number> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: PROJECT, stdio: 'inherit' });
    const kill = (): void => {
      child.kill('SIGTERM');
    };
    process.on('exit', kill);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      process.off('exit', kill);
      resolve(status ?? 128 + constants.signals[signal!]);
    });
  });
}
