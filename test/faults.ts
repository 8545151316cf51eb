// npm run test:faults: loads the driver with each fault of the original design put back, and expects the tests that are
// there for it to fail. A fault that nobody notices is a failure here, and so is a test that does not end: that can have
// any reason.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithCaller } from '../native/vm/ending.js';
import { defaultOptions } from '../native/vm/options.js';
import { PROJECT } from '../native/vm/project.js';
import { runInVm } from '../native/vm/run-in-vm.js';
import { failed, passed, summary, type Outcome } from './runner/outcome.js';

interface Fault {
  number: number;
  name: string;
  /** Tests of native/ummunotify/selftest that are there for it. */
  tests: readonly string[];
  /** The kernel itself complains; otherwise one of the tests has to fail. */
  kernelComplains?: boolean;
  /** For the guest's kernel, when it takes more to see the fault. */
  kernelArguments?: readonly string[];
}

const FAULTS: readonly Fault[] = [
  {
    number: 1,
    name: 'use after free on close',
    tests: ['close_with_ranges', 'exit_with_ranges', 'close_under_fire'],
    kernelComplains: true,
    // Freed memory is overwritten at once: who follows a pointer in it is found out.
    kernelArguments: ['slub_debug=FZPU'],
  },
  { number: 2, name: 'a lost LAST', tests: ['unregister_of_pending_leaves_last'] },
  { number: 3, name: 'EFAULT loses events', tests: ['efault_loses_nothing'] },
  {
    number: 4,
    name: 'acting at the start only',
    tests: ['drained_early_is_reported_again', 'register_waits_for_open_invalidation'],
  },
  { number: 5, name: 'linear scans', tests: ['cost_does_not_grow_with_ranges'] },
  {
    number: 6,
    name: 'no limit, accounting or access',
    tests: ['range_limit', 'memory_is_charged_to_its_user'],
  },
  {
    number: 7,
    name: 'VM_MAYWRITE, EINTR, wake-ups under the lock',
    tests: ['mmap_rules', 'signals_do_not_leak'],
  },
];

const USAGE = `Usage: npm run test:faults

Loads the driver with each fault of the original design put back, one after the other in virtual machines, and expects
the tests that are there for it to fail. Takes no options but --help.
`;
const args = process.argv.slice(2);
if (args.length !== 0) {
  const asked = args.length === 1 && args[0] === '--help';
  (asked ? process.stdout : process.stderr).write(USAGE);
  process.exit(asked ? 0 : 2);
}
endWithCaller();
const folder = mkdtempSync(join(tmpdir(), 'regcache-faults-'));
// Writable for the guest, too.
mkdirSync(join(PROJECT, 'test/results'), { recursive: true });
const results = mkdtempSync(join(PROJECT, 'test/results', 'faults-'));
const outcomes: Outcome[] = [];
try {
  const client = join(folder, 'ummunotify_test');
  execFileSync(
    process.env['CC'] ?? 'gcc-12',
    ['-O2', '-pthread', '-Iinclude/uapi', '-o', client, 'selftest/ummunotify_test.c'],
    { cwd: join(PROJECT, 'native/ummunotify'), stdio: 'inherit' },
  );
  for (const fault of FAULTS) outcomes.push(await tryOut(fault, client));
} finally {
  rmSync(folder, { recursive: true });
  rmSync(results, { recursive: true });
}
for (const { kind, name } of outcomes) process.stdout.write(`${kind}: ${name}\n`);
process.stdout.write(summary(outcomes));
process.exitCode = outcomes.some(({ kind }) => kind === 'failed') ? 1 : 0;

async function tryOut(
  { number, name, tests, kernelComplains = false, kernelArguments = [] }: Fault,
  client: string,
): Promise<Outcome> {
  const title = `fault ${number}, ${name}`;
  process.stdout.write(`\n== ${title}\n`);
  const tap = join(results, `${number}.tap`);
  let complaint: string | undefined;
  try {
    await runInVm(['sh', '-c', '"$@" >"$0"; status=$?; cat "$0"; exit $status', tap, client, ...tests], {
      ...defaultOptions(),
      limit: 300,
      fault: number,
      kernelArguments,
    });
  } catch (error) {
    complaint = error instanceof Error ? error.message : String(error);
    process.stdout.write(`${complaint.split('\n').slice(0, 12).join('\n')}\n`);
  }
  if (kernelComplains) {
    // Only a fault of the kernel itself is one that was noticed: not a guest that did not boot.
    if (complaint !== undefined && /reported a fault|Kernel panic/.test(complaint)) {
      return passed(`${title}: noticed by the kernel`);
    }
    return failed(`${title}: the kernel did not notice it`);
  }
  if (complaint !== undefined) return failed(`${title}: ${complaint.split('\n')[0]}`);
  const noticed = failedTests(existsSync(tap) ? readFileSync(tap, 'utf8') : '');
  if (noticed.length === 0) return failed(`${title}: no test noticed it`);
  const silent = tests.filter((test) => !noticed.includes(test));
  return passed(
    `${title}: noticed by ${noticed.join(', ')}${silent.length > 0 ? `, not by ${silent.join(', ')}` : ''}`,
  );
}

/** What failed because something was not as it should be: a test that a signal had to end is not among them. */
function failedTests(tap: string): string[] {
  return [...tap.matchAll(/^(?:# killed by signal.*\n)?not ok \d+ (\w+)$/gm)]
    .filter(([lines]) => !lines.startsWith('#'))
    .map(([, test]) => test);
}
