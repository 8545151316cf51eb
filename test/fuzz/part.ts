// One part of npm run fuzz, where it has to run: node part.js device|api|cli SETTING SEED SECONDS
import { runBatch } from './api/batch.js';
import type { Setting } from './api/world.js';
import { fuzzCli } from './cli.js';
import { fuzzDevice } from './device.js';

const [part, setting, ...numbers] = process.argv.slice(2);
const [seed, seconds] = numbers.map(Number);
try {
  if (part === 'device') await fuzzDevice(seed, Math.ceil(seconds / 4));
  else if (part === 'cli') await fuzzCli(seed, Infinity, seconds);
  else {
    const { calls, refused } = runBatch({ setting: setting as Setting, seed, runs: 1e9, seconds });
    process.stdout.write(`${calls} calls, ${refused} refused\n`);
  }
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
