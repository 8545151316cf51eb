// npm run test:debug-kernel: builds a kernel with KASAN, lockdep, kmemleak, RCU and sleep-in-atomic checks from the
// distribution's source, with the driver patched in, and runs on it the system tests and, with the driver as a module,
// its selftests, a stress run and a fuzzer.
// Usage: npm run test:debug-kernel -- [--seconds N] [--seed N] [--only system|module] [--build]
import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { provideDebugKernel, type DebugKernel } from '../../native/debug-kernel/debug-kernel.js';
import { endWithCaller } from '../../native/vm/ending.js';
import { defaultOptions } from '../../native/vm/options.js';
import { PROJECT } from '../../native/vm/project.js';
import { runInVm, type Machine } from '../../native/vm/run-in-vm.js';
import { readOutcomes, runMocha } from '../runner/mocha-suite.js';
import { failed, passed, summary, type Outcome } from '../runner/outcome.js';
import { checkPatch } from './patch-checks.js';

const SCRIPTS = join('test', 'debug-kernel');
/** Megabytes; KASAN's shadow takes an eighth. */
const MEMORY = 4096;

interface Options {
  /** How long each of the six runs of load takes. */
  readonly seconds: number;
  readonly seed: number;
  readonly only: string | undefined;
  /** Builds and runs nothing. */
  readonly build: boolean;
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string' },
      only: { type: 'string' },
      build: { type: 'boolean', default: false },
    },
  });
  const seed = values.seed === undefined ? randomInt(2 ** 47) : Number(values.seed);
  return { seconds: Number(values.seconds), seed, only: values.only, build: values.build };
}

/** Runs a command on a machine; with a report of its kernel this rejects. */
function runOn(machine: Machine, argv: readonly string[], limit: number): Promise<number> {
  return runInVm(argv, { ...defaultOptions(), kernel: machine, memory: MEMORY, limit });
}

/** Path, for this process, of a file whose lines the guest writes. */
function resultsFile(name: string): string {
  const folder = join(PROJECT, 'test', 'results');
  mkdirSync(folder, { recursive: true });
  return join(folder, `debug-kernel-${name}-${process.pid}.jsonl`);
}

async function testSystem({ builtIn }: DebugKernel): Promise<Outcome[]> {
  process.stdout.write('\n  The driver built in: the system tests\n');
  const file = resultsFile('system');
  const wrapper = ['sh', join(SCRIPTS, 'with-leak-check.sh'), file, 'debug kernel: system tests'];
  const outcomes = await runMocha('system', (argv) => runOn(builtIn, [...wrapper, ...argv], 3600), undefined);
  const leaks = readOutcomes(file).outcomes;
  rmSync(file, { force: true });
  return [...outcomes, ...leaks, ...(leaks.length === 0 ? [failed('debug kernel: the leak check')] : [])];
}

async function testModule(kernel: DebugKernel, { seconds, seed }: Options): Promise<Outcome[]> {
  process.stdout.write(`\n  The driver as a module: selftests, stress, fuzzer (seed ${seed}), unloading\n`);
  const file = resultsFile('module');
  const report = 'debug kernel: the kernel reports no fault under load';
  let last: Outcome;
  try {
    const { selftests, busybox, driver } = kernel;
    const argv = [file, selftests, busybox, driver, seconds, seed].map(String);
    const limit = 1800 + seconds * 20;
    const status = await runOn(kernel.module, ['sh', join(SCRIPTS, 'module.sh'), ...argv], limit);
    last = status === 0 ? passed(report) : failed(`debug kernel: module.sh (status ${status})`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    last = failed(report);
  }
  const { outcomes } = readOutcomes(file);
  rmSync(file, { force: true });
  return [...outcomes, last];
}

endWithCaller();
const outcomes: Outcome[] = [];
const start = performance.now();
try {
  const options = parseOptions();
  const kernel = await provideDebugKernel();
  outcomes.push(passed('kernel patch: applies to the pristine source and builds, driver and selftests'));
  outcomes.push(await checkPatch(kernel));
  if (!options.build) {
    if (options.only !== 'module') outcomes.push(...(await testSystem(kernel)));
    if (options.only !== 'system') outcomes.push(...(await testModule(kernel, options)));
  }
} catch (error) {
  process.stderr.write(
    `npm run test:debug-kernel: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  outcomes.push(failed('the test run itself'));
}
process.stdout.write(`\nTook ${((performance.now() - start) / 1000).toFixed(0)} s.\n`);
process.stdout.write(summary(outcomes));
process.exitCode = outcomes.some(({ kind }) => kind === 'failed') ? 1 : 0;
