import { parseArgs } from 'node:util';
import { readCommandLine, wholeNumber } from '../command-line.js';
import { type Role, ROLE_OPTIONS, ROLE_USAGE, roleOf } from '../role.js';

/** The longest message that a server takes, in bytes. */
export const MOST_BYTES = 2 ** 20;

const USAGE = `Usage: npm run example -- ping-pong [OPTIONS]

Sends messages to a server, which sends each of them back, and shows how long that took.

${ROLE_USAGE}  --sizes N,...     bytes of the messages (default 8,4096,65536; at most ${MOST_BYTES})
  --round-trips N   of each size (default 1000), after a tenth of that to warm up
  --poll            look for what is done all the time, at either end, instead of waiting for the device's events
  --json            the results for programs
  --help            show this
`;

export interface Options {
  role: Role;
  sizes: number[];
  roundTrips: number;
  poll: boolean;
  json: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  return readCommandLine(args, USAGE, (given) => {
    const { values } = parseArgs({
      args: given,
      options: {
        ...ROLE_OPTIONS,
        sizes: { type: 'string', default: '8,4096,65536' },
        'round-trips': { type: 'string', default: '1000' },
        poll: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    return {
      role: roleOf(values),
      sizes: values.sizes.split(',').map((size) => wholeNumber('--sizes', size, 1, MOST_BYTES)),
      roundTrips: wholeNumber('--round-trips', values['round-trips'], 1, 10_000_000),
      poll: values.poll,
      json: values.json,
    };
  });
}
