/**
 * What does a key-value server gain from a cache of registrations, by who watches its memory? Its values come and go as
 * in any program, by malloc and in Buffers.
 */
import { parseArgs } from 'node:util';
import { REALISTIC, server } from './about/server.js';
import { runBenchmark } from './server/bench.js';

const { values: options } = parseArgs({ options: server.options });

await runBenchmark(
  { name: 'server', about: server, memories: [REALISTIC], rounds: 9, requests: 400 },
  options,
);
