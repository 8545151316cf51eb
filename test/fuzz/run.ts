// npm run fuzz: arbitrary input for as long as one likes. See options.ts.
import { endWithCaller } from '../../native/vm/ending.js';
import { reportFailure } from '../../native/vm/errors.js';
import { defaultOptions } from '../../native/vm/options.js';
import { announceVm, runHere, runWhereTheDeviceIs } from '../../native/vm/where.js';
import { parseOptions, type Part } from './options.js';

const { parts, seconds, seed } = parseOptions(process.argv.slice(2));
/** Beside the time asked for: a boot, a compiler. */
const limit = seconds + 600;

async function run(part: Part, setting: 'host' | 'device'): Promise<boolean> {
  process.stdout.write(`\n== ${part} (${setting}), ${seconds} s, seed ${seed}\n`);
  const argv = [process.execPath, 'dist/test/fuzz/part.js', part, setting, String(seed), String(seconds)];
  if (setting === 'host') return (await runHere(argv)) === 0;
  announceVm();
  // So that the driver's objects can be counted.
  const options = { ...defaultOptions(), limit, kernelArguments: ['slab_nomerge'] };
  return (await runWhereTheDeviceIs(argv, options)) === 0;
}

endWithCaller();
try {
  const passed: boolean[] = [];
  for (const part of parts) {
    if (part !== 'device') passed.push(await run(part, 'host'));
    if (part !== 'cli') passed.push(await run(part, 'device'));
  }
  process.exitCode = passed.every(Boolean) ? 0 : 1;
  process.stdout.write(process.exitCode === 0 ? '\nnothing found\n' : '\nfound something: see above\n');
} catch (error) {
  process.exitCode = reportFailure(error);
}
