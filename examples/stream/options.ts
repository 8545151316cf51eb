import { parseArgs } from 'node:util';
import { readCommandLine } from '../command-line.js';
import { type Role, ROLE_OPTIONS, ROLE_USAGE, roleOf } from '../role.js';

const USAGE = `Usage: npm run example -- stream [OPTIONS] [FILE]

A pipeline reads a file (or this program's own text), sends it to a server through a stream on an endpoint, gets it back
compressed from the server's pipeline, and unpacks it; what comes out is compared with what went in.

${ROLE_USAGE}  --json            what went through, for programs
  --help            show this
`;

export interface Options {
  role: Role;
  file: string | undefined;
  json: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  return readCommandLine(args, USAGE, (given) => {
    const { values, positionals } = parseArgs({
      args: given,
      allowPositionals: true,
      options: { ...ROLE_OPTIONS, json: { type: 'boolean', default: false } },
    });
    const role = roleOf(values);
    if (positionals.length > (role.is === 'server' ? 0 : 1))
      throw new Error(role.is === 'server' ? 'a server takes no file' : 'name one file at most');
    return { role, file: positionals.at(0), json: values.json };
  });
}
