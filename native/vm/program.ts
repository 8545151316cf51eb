import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { endWithCaller } from './ending.js';
import { reportFailure } from './errors.js';
import { defaultOptions } from './options.js';
import { announceVm, runWhereTheDeviceIs } from './where.js';

/**
 * Runs one of the project's programs where the RDMA device is. A program with an options.js beside it has that look at
 * the arguments first: a slip need not cost a boot.
 * @returns the exit status for this process
 */
export async function runProgram(program: string, args: readonly string[]): Promise<number> {
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
    return await runWhereTheDeviceIs([process.execPath, program, ...args], defaultOptions());
  } catch (error) {
    return reportFailure(error);
  }
}
