import { existsSync, readdirSync } from 'node:fs';

/** Whether this machine itself has the driver's device and an RDMA device, so that no virtual machine is needed. */
export function hasDevice() {
  if (!existsSync('/dev/ummunotify')) return false;
  try {
    return readdirSync('/sys/class/infiniband').length > 0;
  } catch {
    return false;
  }
}
