import { parseArgs } from 'node:util';
import { readCommandLine } from '../command-line.js';
import { type Role, ROLE_OPTIONS, ROLE_USAGE, roleOf } from '../role.js';

const USAGE = `Usage: npm run example -- file-sender [OPTIONS] FILE
       npm run example -- file-sender --listen [OPTIONS]

Sends a file to a server, which writes it into a folder. A transfer that was interrupted goes on where it ended when
the file is sent again, and what arrived is compared with what was sent by its SHA-256.

${ROLE_USAGE}  --folder FOLDER   where the server puts what it gets (default: the current one; for a server that is started
                    here, a temporary one, which is removed unless you break off)
  --json            what was sent, for programs
  --help            show this
`;

export interface Options {
  role: Role;
  /** What to send; undefined for the server. */
  file: string | undefined;
  folder: string | undefined;
  json: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  return readCommandLine(args, USAGE, (given) => {
    const { values, positionals } = parseArgs({
      args: given,
      allowPositionals: true,
      options: {
        ...ROLE_OPTIONS,
        folder: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const role = roleOf(values);
    const files = role.is === 'server' ? 0 : 1;
    if (positionals.length !== files)
      throw new Error(files === 0 ? 'a server takes no file' : 'name one file to send');
    if (role.is === 'client' && values.folder !== undefined)
      throw new Error('--folder is for the server: it says where its files go');
    return { role, file: positionals.at(0), folder: values.folder, json: values.json };
  });
}
