import { parseArgs } from 'node:util';
import { readCommandLine } from '../command-line.js';

const USAGE = `Usage: npm run demo [-- --json]

Sends a buffer, gives it new pages at the same address, and sends it again, with a registration that is simply kept
and with one from the cache; shows what arrived. Exit status 0: stale bytes without the cache, none with it.

  --json   the report for programs (with npm -s run demo, so that npm prints nothing itself)
  --help   show this
`;

export interface Options {
  json: boolean;
}

/** Read the command line; ends the process after --help, and with status 2 when there is something it does not know. */
export function parseOptions(args: readonly string[]): Options {
  return readCommandLine(args, USAGE, (given) => {
    const { values } = parseArgs({ args: given, options: { json: { type: 'boolean', default: false } } });
    return values;
  });
}
