// npm run test:long: what npm test does for seconds only. Sequences of commands against the naive list of ranges, then
// each call of the cache's interfaces failing with each error.
// Usage: npm run test:long -- [--sequences N] [--seed N]
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { assertWhateverHappens } from './model/cache-commands.js';

/** Sequences between two signs of life. */
const BATCH = 500;

const { values } = parseArgs({
  options: {
    sequences: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const USAGE = `Usage: npm run test:long -- [OPTIONS]

  --sequences N         of commands (default 10000)
  --seed N              repeats a run; otherwise it is random, and printed
  --help                show this
`;
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const sequences = Number(values.sequences);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!Number.isSafeInteger(sequences) || sequences < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write(`both are whole numbers\n\n${USAGE}`);
  process.exit(2);
}

process.stdout.write(`${sequences} sequences of commands, seed ${seed}\n`);
const start = performance.now();
let commands = 0;
for (let done = 0; done < sequences; done += BATCH) {
  const numRuns = Math.min(BATCH, sequences - done);
  // Of another seed each: that of the batch is in the error, and repeats it without the others.
  commands += await assertWhateverHappens({ numRuns, seed: seed + done / BATCH });
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(`${done + numRuns} sequences, ${commands} commands, ${seconds} s\n`);
}
const { status } = spawnSync(
  process.execPath,
  [join('node_modules', 'mocha', 'bin', 'mocha.js'), '--timeout', '0', 'dist/test/unit/faults.test.js'],
  { cwd: PROJECT, stdio: 'inherit', env: { ...process.env, REGCACHE_LONG: '1' } },
);
process.exitCode = status ?? 1;
