import { parseArgs } from 'node:util';
import { readCommandLine, wholeNumber } from '../command-line.js';
import { type Role, ROLE_OPTIONS, ROLE_USAGE, roleOf } from '../role.js';

const USAGE = `Usage: npm run example -- worker-pool [OPTIONS]

Threads share memory, and each has a connection and a cache of its own. Together they write the memory to a server,
several times over with new content; the server's SHA-256 of what it has is compared with the memory's.

${ROLE_USAGE}  --workers N       threads (default 3)
  --mib N           the memory that they share (default 16)
  --block-kib N     what is written at a time (default 256)
  --rounds N        how often all of it is written (default 4)
  --json            what each of them did, for programs
  --help            show this
`;

export interface Options {
  role: Role;
  workers: number;
  /** Of the shared memory. */
  bytes: number;
  blockBytes: number;
  rounds: number;
  json: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  return readCommandLine(args, USAGE, (given) => {
    const { values } = parseArgs({
      args: given,
      options: {
        ...ROLE_OPTIONS,
        workers: { type: 'string', default: '3' },
        mib: { type: 'string', default: '16' },
        'block-kib': { type: 'string', default: '256' },
        rounds: { type: 'string', default: '4' },
        json: { type: 'boolean', default: false },
      },
    });
    return {
      role: roleOf(values),
      workers: wholeNumber('--workers', values.workers, 1, 256),
      bytes: wholeNumber('--mib', values.mib, 1, 4095) * 2 ** 20,
      blockBytes: wholeNumber('--block-kib', values['block-kib'], 1, 2 ** 20) * 1024,
      rounds: wholeNumber('--rounds', values.rounds, 1, 1e6),
      json: values.json,
    };
  });
}
