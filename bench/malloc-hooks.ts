/**
 * Hooks in libc or the word of the kernel: the same key-value server under either, with all the ways in which programs
 * get memory and give it back.
 */
import { parseArgs } from 'node:util';
import { mallocHooks } from './about/malloc-hooks.js';
import { WAYS } from './about/server.js';
import { runBenchmark } from './server/bench.js';

const { values: options } = parseArgs({ options: mallocHooks.options });

await runBenchmark(
  { name: 'malloc-hooks', about: mallocHooks, memories: WAYS, rounds: 5, requests: 150 },
  options,
);
