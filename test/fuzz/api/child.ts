// A batch of calls, in a process of its own: node child.js SETTING SEED RUNS SECONDS LOG
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import fc from 'fast-check';
import { ERROR_CODES, MemoryRegion } from '../../../src/index.js';
import { argumentsOf, make, type Call, type Recipe, targetsOf } from './calls.js';
import { OfTheCaller, OPTION_NAMES, STRANGE } from './values.js';
import { makeWorld, type Setting, type World } from './world.js';

const [setting, seed, runs, seconds, log] = process.argv.slice(2) as [Setting, ...string[]];

const simple: fc.Arbitrary<Recipe> = fc.oneof(
  fc.record({ strange: fc.constantFrom(...Object.keys(STRANGE)) }),
  fc.record({ number: fc.oneof(fc.integer({ min: -1, max: 70 }), fc.double()) }),
  fc.record({ object: fc.nat(1000) }),
  fc.record({ memory: fc.nat(100) }),
  fc.record({ callback: fc.nat(20) }),
);
const recipe: fc.Arbitrary<Recipe> = fc.oneof(
  { weight: 4, arbitrary: simple },
  {
    weight: 1,
    arbitrary: fc.record({
      options: fc.array(fc.tuple(fc.constantFrom(...OPTION_NAMES), simple), { maxLength: 3 }),
      getters: fc.boolean(),
    }),
  },
);
const call: fc.Arbitrary<Call> = fc.record({
  target: fc.nat(1_000_000),
  self: fc.option(recipe, { nil: undefined, freq: 10 }),
  args: fc.array(fc.tuple(fc.nat(9), recipe), { maxLength: 3 }),
  bare: fc.boolean(),
});

const file = openSync(log, 'w');
const called = new Set<string>();
let calls = 0;
let refused = 0;
const complaints: string[] = [];
/** Their microtasks are over when the next call is made. */
let current = '';

// It would have ended the process, whatever its code.
process.on('uncaughtException', (error) => {
  if (!(error instanceof OfTheCaller))
    complaints.push(`${current}: nobody caught ${error.stack ?? String(error)}`);
});

/** Note a failure that is not one of those that are promised. */
function complain(what: string, error: unknown, { wrongThis }: { wrongThis: boolean }): void {
  if (error instanceof OfTheCaller) return;
  refused++;
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  // The language's own refusal of a method on an object of another class.
  if (wrongThis && error instanceof TypeError) return;
  if (error instanceof Error && typeof code === 'string' && isDocumented(code)) return;
  const text = error instanceof Error ? error.stack : String(error);
  complaints.push(`${what}: ${String(name)} without a documented code (${String(code)}): ${text ?? ''}`);
}

const isDocumented = (code: string): boolean =>
  code in ERROR_CODES || code in constants.errno || code.startsWith('ERRNO_');

async function perform(call: Call, world: World): Promise<void> {
  const targets = targetsOf(world);
  const target = targets[call.target % targets.length];
  const { name, internal } = target;
  current = name;
  called.add(name);
  calls++;
  // What was being done when the process ended is the last line.
  writeSync(file, `${name} ${JSON.stringify(call)}\n`);
  const args = argumentsOf(target, call, world);
  const self = call.self === undefined ? target.self : make(call.self, world);
  const how = { wrongThis: self !== target.self };
  const report = (error: unknown): void => {
    if (!internal) complain(`${name} ${JSON.stringify(call)}`, error, how);
  };
  try {
    const result = target.run(self, args);
    if (result instanceof Promise) {
      // Not awaited: it may wait for a call that comes later, or never.
      void result.then((value) => {
        keep(value, world);
      }, report);
      if (call.bare) await new Promise(setImmediate);
    } else keep(result, world);
  } catch (error) {
    report(error);
  }
}

/** What is worth calling or passing on. Large memory is not: to pin it takes all that the machine has. */
function keep(value: unknown, world: World): void {
  if (typeof value !== 'object' || value === null || value instanceof Promise || world.objects.length > 60)
    return;
  const { name } = Object(value.constructor) as { name: string };
  const ours = [
    'Entry',
    'Handle',
    'Buffer',
    'Context',
    'ProtectionDomain',
    'CompletionQueue',
    'QueuePair',
  ].concat(
    ...[
      'MemoryRegion',
      'SendRequests',
      'ReceiveRequests',
      'RegistrationCache',
      'IbverbsRegistrar',
      'NoMonitor',
    ],
    ...['UmmunotifyMonitor', 'UserfaultfdMonitor', 'RegcacheError'],
  );
  if (!ours.includes(name)) return;
  if (Buffer.isBuffer(value) && value.length > 2 ** 20) return;
  if (value instanceof MemoryRegion && value.length > 2 ** 20) return;
  world.add(value);
}

const property = fc.asyncProperty(
  fc.array(call, { minLength: 5, maxLength: 60, size: 'max' }),
  async (sequence) => {
    const world = makeWorld(setting);
    for (const each of sequence) await perform(each, world);
    await world.close();
    if (complaints.length !== 0) throw new Error(complaints.splice(0).join('\n'));
  },
);

try {
  await fc.assert(property, {
    seed: Number(seed),
    numRuns: Number(runs),
    includeErrorInReport: true,
    interruptAfterTimeLimit: Number(seconds) * 1000,
  });
  // Of the last calls' promises.
  if (complaints.length !== 0) throw new Error(complaints.join('\n'));
  process.stdout.write(`${JSON.stringify({ calls, refused, called: [...called].sort() })}\n`);
  process.exitCode = 0;
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
closeSync(file);
// Some of what the calls began may keep the process alive.
process.exit();
