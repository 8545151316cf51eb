import { parseArgs } from 'node:util';
import { readCommandLine, wholeNumber } from '../command-line.js';
import { type Role, ROLE_OPTIONS, ROLE_USAGE, roleOf } from '../role.js';
import type { Shape } from './table.js';

const USAGE = `Usage: npm run example -- key-value [OPTIONS]
       npm run example -- key-value --listen [OPTIONS]
       npm run example -- key-value --host HOST [OPTIONS] get KEY
       npm run example -- key-value --host HOST [OPTIONS] put KEY VALUE

A server keeps a table in its memory. Clients put values by messages, and get them by reading the server's memory, of
which the server hears nothing. Without get or put: several clients do both at the same time, and look whether they ever
get anything but what somebody put. Exit status 0: they do not.

${ROLE_USAGE}  --slots N         entries of the server's table (default 1024)
  --slot-bytes N    bytes of an entry, with its key and 20 more (default 4096)
  --clients N       processes that get and put (default 3)
  --reads N         values that each of them gets (default 1000)
  --value-bytes N   the longest of their values (default 4000)
  --json            what they met, for programs
  --help            show this
`;

export type Command =
  | { is: 'get'; key: string }
  | { is: 'put'; key: string; value: string }
  | { is: 'demonstration'; clients: number; reads: number; valueBytes: number };

export interface Options {
  role: Role;
  shape: Shape;
  /** Of a client. */
  command: Command;
  json: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  return readCommandLine(args, USAGE, (given) => {
    const { values, positionals } = parseArgs({
      args: given,
      allowPositionals: true,
      options: {
        ...ROLE_OPTIONS,
        slots: { type: 'string', default: '1024' },
        'slot-bytes': { type: 'string', default: '4096' },
        clients: { type: 'string', default: '3' },
        reads: { type: 'string', default: '1000' },
        'value-bytes': { type: 'string', default: '4000' },
        json: { type: 'boolean', default: false },
      },
    });
    const role = roleOf(values);
    if (positionals.length > 0 && role.is !== 'client')
      throw new Error('get and put take --host, the server to ask');
    return {
      role,
      shape: {
        slots: wholeNumber('--slots', values.slots, 1, 2 ** 24),
        slotBytes: wholeNumber('--slot-bytes', values['slot-bytes'], 64, 2 ** 24),
      },
      command: commandOf(positionals, {
        is: 'demonstration',
        clients: wholeNumber('--clients', values.clients, 1, 1000),
        reads: wholeNumber('--reads', values.reads, 1, 1e9),
        valueBytes: wholeNumber('--value-bytes', values['value-bytes'], 64, 2 ** 24),
      }),
      json: values.json,
    };
  });
}

function commandOf(words: readonly string[], otherwise: Command): Command {
  const [name, key, value] = words;
  if (words.length === 0) return otherwise;
  if (name === 'get' && words.length === 2) return { is: 'get', key };
  if (name === 'put' && words.length === 3) return { is: 'put', key, value };
  throw new Error('it is get KEY, or put KEY VALUE');
}
