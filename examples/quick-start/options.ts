import { parseArgs } from 'node:util';
import { readCommandLine } from '../command-line.js';

const USAGE = `Usage: npm run example -- quick-start

A process writes into its own memory through the first RDMA device, three times over, and prints what arrived and what
the cache saved. All of it is in quick-start.ts, as in README.md.

  --help            show this
`;

export function parseOptions(args: readonly string[]): void {
  readCommandLine(args, USAGE, (given) => parseArgs({ args: given, options: {} }));
}
