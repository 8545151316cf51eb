import { VmError } from './errors.js';

/** Fails on hosts whose processor the virtual machine was never run on. */
export function requireKnownProcessor(): void {
  if (process.arch === 'x64' && process.platform === 'linux') return;
  throw new VmError(
    `the virtual machine runs on x86-64 Linux hosts only, this is ${process.platform} on ${process.arch}; ` +
      'use a machine with an RDMA device and the ummunotify module instead',
  );
}
