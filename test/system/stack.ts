import { existsSync } from 'node:fs';
import { DEVICE_PATH } from '../../src/monitor/ummunotify-abi.js';
import { listDevices } from '../../src/verbs/device.js';
import { needs } from '../needs.js';

/** Skip the surrounding suite unless the driver is loaded and there is an RDMA device. */
export function requireStack(): void {
  before(function () {
    needs(this, 'ummunotify', existsSync(DEVICE_PATH));
    needs(this, 'rdma-device', listDevices().length > 0);
  });
}
