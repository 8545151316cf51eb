// npm run soak: test/soak/main.ts where the RDMA device is. Takes its options; --help has them.
import { join } from 'node:path';
import { provideLibrary } from '../bench/coverage/libraries.js';
import { endWithCaller } from '../native/vm/ending.js';
import { reportFailure } from '../native/vm/errors.js';
import { defaultOptions } from '../native/vm/options.js';
import { announceVm, runWhereTheDeviceIs } from '../native/vm/where.js';
import { parseOptions } from './soak/options.js';

/** Seconds in all for what is not the soak: starting, warming up, waiting for what takes its time to go. */
const BESIDES = 300;

const { seconds, seed, kernel, kept, json } = parseOptions(process.argv.slice(2));
endWithCaller();
try {
  // Once here, and not each time in an emulated machine.
  provideLibrary('elsewhere');
  announceVm();
  const flags = [...(kept ? ['--kept'] : []), ...(json ? ['--json'] : [])];
  const args = ['--seconds', String(seconds), '--seed', String(seed), ...flags];
  process.exitCode = await runWhereTheDeviceIs(
    [process.execPath, join('dist', 'test', 'soak', 'main.js'), ...args],
    // Otherwise the driver's slab is one with others of that size.
    { ...defaultOptions(kernel), limit: seconds + BESIDES, kernelArguments: ['slab_nomerge'] },
  );
} catch (error) {
  process.exitCode = reportFailure(error);
}
