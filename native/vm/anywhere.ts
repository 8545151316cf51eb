// Runs one of the project's programs where the RDMA device is: node dist/native/vm/anywhere.js PROGRAM.js ARGUMENT...
// A program with an options.js beside it has that look at the arguments first: a slip need not cost a boot.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { endWithCaller } from './ending.js';
import { reportFailure } from './errors.js';
import { defaultOptions } from './options.js';
import { announceVm, runWhereTheDeviceIs } from './where.js';

const [program = '', ...args] = process.argv.slice(2);
endWithCaller();
try {
  const options = join(dirname(resolve(program)), 'options.js');
  if (existsSync(options)) {
    const { parseOptions } = (await import(pathToFileURL(options).href)) as {
      parseOptions: (args: readonly string[]) => unknown;
    };
    // Ends the process when it is asked for help, or for something that it does not know.
    parseOptions(args);
  }
  announceVm();
  process.exitCode = await runWhereTheDeviceIs([process.execPath, program, ...args], defaultOptions());
} catch (error) {
  process.exitCode = reportFailure(error);
}
