// npm run bench -- [NAME] [ARGUMENT...]: runs one benchmark, or all, each where what it measures is.
import { fileURLToPath } from 'node:url';
import { endWithCaller } from '../native/vm/ending.js';
import { reportFailure } from '../native/vm/errors.js';
import { defaultOptions } from '../native/vm/options.js';
import { loadHelper } from '../src/monitor/helper.js';
import { provideLibrary } from './coverage/libraries.js';
import { hasDevice, runHere, runWhereTheDeviceIs } from '../native/vm/where.js';

type Run = (argv: readonly string[]) => Promise<number>;

const withDevice: Run = (argv) => runWhereTheDeviceIs(argv, defaultOptions());

/** Needs UCX to compare with, or strace. */
const besideUcx =
  (run: Run): Run =>
  async (argv) => {
    const setUp = fileURLToPath(new URL('../../native/setup/setup.mjs', import.meta.url));
    const status = await runHere([process.execPath, setUp, 'ucx']);
    return status === 0 ? run(argv) : status;
  };

/** Pages can move between its nodes; and what is compiled here need not be compiled there. */
const onTwoNodes: Run = (argv) => {
  provideLibrary('elsewhere');
  provideLibrary('ucx');
  return runWhereTheDeviceIs(argv, { ...defaultOptions(), limit: 1800, nodes: 2 });
};

/** On the host, and where the device is, for what cannot be had without it. */
const onBoth: Run = async (argv) => {
  // Better here than in an emulated machine.
  loadHelper();
  const status = await runHere(argv);
  if (hasDevice() || status !== 0) return status;
  return runWhereTheDeviceIs(argv, { ...defaultOptions(), limit: 1800 });
};

/** The benchmarks, by name, and where they run; each is a program of its own. */
const BENCHES: ReadonlyMap<string, Run> = new Map([
  ['kernel', withDevice],
  ['off-thread', withDevice],
  ['coverage', besideUcx(onTwoNodes)],
  ['miss', besideUcx(onBoth)],
  ['overhead', besideUcx(onBoth)],
  ['storm', besideUcx(onBoth)],
  ['hit', besideUcx(runHere)],
  ['hit-proof', besideUcx(runHere)],
]);

const [name, ...args] = process.argv.slice(2) as [string?, ...string[]];
endWithCaller();
if (name !== undefined && !BENCHES.has(name)) {
  process.stderr.write(`npm run bench -- NAME, where NAME is one of: ${[...BENCHES.keys()].join(', ')}\n`);
  process.exit(2);
}
try {
  for (const [bench, run] of BENCHES) {
    if (name !== undefined && bench !== name) continue;
    const program = fileURLToPath(new URL(`./${bench}.js`, import.meta.url));
    const status = await run([process.execPath, program, ...args]);
    if (status !== 0) process.exitCode = status;
  }
} catch (error) {
  process.exitCode = reportFailure(error);
}
