/** The benchmarks and where they run. */
import { fileURLToPath } from 'node:url';
import { defaultOptions } from '../native/vm/options.js';
import { hasDevice, runHere, runWhereTheDeviceIs } from '../native/vm/where.js';
import { loadHelper } from '../src/monitor/helper.js';
import type { About } from './about/about.js';
import { coverage } from './about/coverage.js';
import { hitProof } from './about/hit-proof.js';
import { hit } from './about/hit.js';
import { kernel } from './about/kernel.js';
import { mallocHooks } from './about/malloc-hooks.js';
import { miss } from './about/miss.js';
import { offThread } from './about/off-thread.js';
import { overhead } from './about/overhead.js';
import { server } from './about/server.js';
import { storm } from './about/storm.js';
import { transfer } from './about/transfer.js';
import { provideLibrary } from './coverage/libraries.js';

/** Takes the command of the program, and gives its exit status. */
type Run = (argv: readonly string[]) => Promise<number>;

const withDevice: Run = (argv) => runWhereTheDeviceIs(argv, defaultOptions());

/** Needs packages of the distribution that nothing else does: UCX and strace, or perftest. */
const beside =
  (packages: 'ucx' | 'perftest', run: Run): Run =>
  async (argv) => {
    const setUp = fileURLToPath(new URL('../../native/setup/setup.mjs', import.meta.url));
    const status = await runHere([process.execPath, setUp, packages]);
    return status === 0 ? run(argv) : status;
  };

/** What is compiled here need not be compiled where the device is. */
const withUcxAndDevice: Run = (argv) => {
  loadHelper();
  provideLibrary('ucx');
  return runWhereTheDeviceIs(argv, { ...defaultOptions(), limit: 1800 });
};

/** The large messages of an emulated device take minutes. */
const forLong: Run = (argv) => runWhereTheDeviceIs(argv, { ...defaultOptions(), limit: 1800 });

/** Pages can move between its nodes; and what is compiled here need not be compiled there. */
const onTwoNodes: Run = (argv) => {
  provideLibrary('elsewhere');
  provideLibrary('ucx');
  return runWhereTheDeviceIs(argv, { ...defaultOptions(), limit: 1800, nodes: 2 });
};

/** On the host, and where the device is, for what cannot be had without it. */
const onBoth: Run = async (argv) => {
  // Better compiled here than in an emulated machine.
  loadHelper();
  provideLibrary('elsewhere');
  const status = await runHere(argv);
  if (hasDevice() || status !== 0) return status;
  return runWhereTheDeviceIs(argv, { ...defaultOptions(), limit: 1800 });
};

export interface Bench {
  readonly run: Run;
  readonly about: About;
}

/** By name; NAME.ts beside this file is the program of each. */
export const BENCHES: ReadonlyMap<string, Bench> = new Map<string, Bench>([
  ['hit', { run: beside('ucx', runHere), about: hit }],
  ['hit-proof', { run: beside('ucx', runHere), about: hitProof }],
  ['kernel', { run: withDevice, about: kernel }],
  ['off-thread', { run: withDevice, about: offThread }],
  ['malloc-hooks', { run: beside('ucx', withUcxAndDevice), about: mallocHooks }],
  ['server', { run: beside('ucx', withUcxAndDevice), about: server }],
  ['miss', { run: beside('ucx', onBoth), about: miss }],
  ['overhead', { run: beside('ucx', onBoth), about: overhead }],
  ['storm', { run: beside('ucx', onBoth), about: storm }],
  ['transfer', { run: beside('perftest', forLong), about: transfer }],
  ['coverage', { run: beside('ucx', onTwoNodes), about: coverage }],
]);
