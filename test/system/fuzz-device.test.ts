import { existsSync } from 'node:fs';
import { fuzzDevice } from '../fuzz/device.js';
import { needs } from '../needs.js';
import { requireStack } from './stack.js';

/** Always the same calls; `npm run fuzz` makes others each time. */
const SEED = 20261124;

describe('the device, given anything, as root and as a user without rights', function () {
  this.timeout(300_000);

  requireStack();

  it('does what its interface says, has the kernel complain of nothing, and leaves nothing in it', async function () {
    needs(this, 'gcc-12 + libc6-dev', existsSync('/usr/bin/gcc-12') && existsSync('/usr/include/stdio.h'));
    await fuzzDevice(SEED, 5);
  });
});
