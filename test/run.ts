// npm test: the static checks, mocha's unit tests here and those of the package that npm packs, its system tests where
// the RDMA device is, and the tests of the virtual machine's runner; what takes longer when asked for.
// Usage: npm test -- [--only lint|unit|package|hooks|system|vm|survival|client|numa|coverage|endpoint|two-machines]...
//   [--kernel 6.1|6.12|newest] [--grep PATTERN]
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { provideLibrary } from '../bench/coverage/libraries.js';
import { endWithCaller } from '../native/vm/ending.js';
import { defaultOptions } from '../native/vm/options.js';
import { prepareVm, type VmOptions } from '../native/vm/run-in-vm.js';
import { hasDevice, runHere, runWhereTheDeviceIs } from '../native/vm/where.js';
import { runMocha } from './runner/mocha-suite.js';
import { failed, skipped, summary, type Outcome } from './runner/outcome.js';
import { runStaticChecks } from './runner/static-checks.js';

const USUAL = ['lint', 'unit', 'package', 'hooks', 'system', 'vm'] as const;
/** Those that take long are run when they are asked for. */
const PARTS = [...USUAL, 'survival', 'client', 'numa', 'coverage', 'endpoint', 'two-machines'] as const;
type Part = (typeof PARTS)[number];

/** Those that need neither a device nor the virtual machine. */
const HERE: ReadonlySet<Part> = new Set(['lint', 'unit', 'package', 'hooks']);

/** Seconds that a part may take in the virtual machine: several times what it does take, as others may be at work, too. */
const LIMIT = 1800;

/** What is special about the virtual machine of a part. */
const SPECIAL: Partial<Record<Part, Partial<VmOptions>>> = {
  // Pages move between nodes.
  numa: { nodes: 2 },
  coverage: { nodes: 2 },
  // So that the driver's objects can be counted.
  system: { kernelArguments: ['slab_nomerge'] },
  survival: { kernelArguments: ['slab_nomerge'] },
  endpoint: { kernelArguments: ['slab_nomerge'] },
};

const TITLES: Record<Part, string> = {
  lint: 'lint: types, eslint, prettier, the reference of the interface (half a minute)',
  unit: 'unit: what runs anywhere',
  package: 'package: what npm packs, in a project of its own, on three versions of Node (half a minute)',
  hooks: "hooks: the monitor that hooks libc, which must not happen to the other tests' process",
  system:
    'system: over the driver and a device, in the virtual machine where there are none (it boots first)',
  survival: 'survival: kills, refusals, a device that goes, users who do not trust each other (four minutes)',
  vm: 'vm: the runner of the virtual machine (several boots)',
  client: 'client: plain C clients of the driver, 64 and 32 bits (minutes)',
  numa: 'numa: automatic NUMA balancing, on two nodes',
  coverage:
    'coverage: what a receiver gets, whatever changed the mapping, and that the soak can tell (three minutes)',
  endpoint: 'endpoint: connections over a device, hundreds of them, and the examples (eight minutes)',
  'two-machines':
    'two-machines: a connection between two virtual machines, one of which loses its power (a minute)',
};

interface TestOptions {
  readonly parts: readonly Part[];
  readonly kernel: string | undefined;
  readonly grep: string | undefined;
}

const USAGE = `Usage: npm test -- [OPTIONS]

  --only PART,...       of ${PARTS.join(', ')} (default: ${USUAL.join(', ')})
  --kernel NAME         of the virtual machine: 6.1, 6.12 or newest
  --grep PATTERN        tests whose name matches
  --help                show this
`;

function parseOptions(): TestOptions {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      kernel: { type: 'string' },
      grep: { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const only = values.only?.flatMap((list) => list.split(','));
  const unknown = only?.find((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`--only takes ${PARTS.join(', ')}, not '${unknown}'`);
  const parts: readonly Part[] = only
    ? PARTS.filter((part) => only.includes(part))
    : USUAL.filter((part) => part !== 'lint' || values.grep === undefined);
  return { parts, kernel: values.kernel, grep: values.grep };
}

/** The virtual machine has the driver and a device: a test that did without them there has failed. */
function mustHaveDevice(outcome: Outcome): Outcome {
  const lacks = outcome.needs === 'ummunotify' || outcome.needs === 'rdma-device';
  if (!lacks || hasDevice()) return outcome;
  return failed(`${outcome.name} (no ${outcome.needs} in the virtual machine)`);
}

/**
 * Where things are mapped is left to chance otherwise, and libucm is not for a process whose heap has no room to grow. In
 * a container it may not be allowed.
 */
const WITHOUT_CHANCE = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];

async function runPart(part: Part, { kernel, grep }: TestOptions): Promise<Outcome[]> {
  switch (part) {
    case 'lint':
      return runStaticChecks();
    case 'unit':
    case 'package':
      return runMocha(part, runHere, grep);
    case 'hooks':
      return runMocha(part, (argv) => runHere([...WITHOUT_CHANCE, ...argv]), grep);
    case 'system':
    case 'survival':
    case 'endpoint':
    case 'client':
    case 'coverage':
    case 'numa': {
      const options = { ...defaultOptions(kernel), limit: LIMIT, ...SPECIAL[part] };
      // Once here, and not each time in an emulated machine.
      if (part === 'coverage') provideLibrary('elsewhere');
      const ran = await runMocha(part, (argv) => runWhereTheDeviceIs(argv, options), grep);
      return ran.map(mustHaveDevice);
    }
    case 'vm':
    case 'two-machines':
      return hasDevice()
        ? [skipped(part, 'the virtual machine, which is not used where there is a device')]
        : runMocha(part, runHere, grep);
  }
}

endWithCaller();
const outcomes: Outcome[] = [];
try {
  const options = parseOptions();
  const { kernel } = defaultOptions(options.kernel);
  if (!hasDevice() && options.parts.some((part) => !HERE.has(part))) await prepareVm(kernel);
  const start = performance.now();
  for (const part of options.parts) {
    process.stdout.write(`\n== ${TITLES[part]}\n`);
    outcomes.push(...(await runPart(part, options)));
  }
  process.stdout.write(`\nTook ${((performance.now() - start) / 1000).toFixed(0)} s.\n`);
  if (outcomes.length === 0) outcomes.push(failed('no test was run'));
} catch (error) {
  process.stderr.write(`npm test: ${error instanceof Error ? error.message : String(error)}\n`);
  outcomes.push(failed('the test run itself'));
}
process.stdout.write(summary(outcomes));
process.exitCode = outcomes.some(({ kind }) => kind === 'failed') ? 1 : 0;
