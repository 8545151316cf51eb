import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { parseSeries, type Series } from '../../native/vm/kernel.js';

const USAGE = `Usage: npm run soak [-- OPTIONS]

Threads map, unmap, remap, fork and punch holes at random in memory that other threads send and receive over RDMA
through caches; each transfer is compared at the receiver. Then everything is closed, and all that was held must be
back at what it was. Runs in the virtual machine where this machine has no RDMA device and driver.

  --seconds N         how long (default 60); starting and warming up come on top
  --seed N            make the same choices as the run that printed this seed; how the threads interleave is never the same
  --kernel NAME       the virtual machine's kernel: 6.1, 6.12 or newest (default: $VM_KERNEL, or 6.1)
  --kept              keep registrations whatever happens to the memory: stale bytes must be found, and the run fails
  --json              the result for programs on stdout (with npm run -s, so that npm prints nothing itself)
  --help              show this

Signs of life go to stderr. Exit status 0: no stale bytes, nothing held, and all statistics agree; 1 otherwise.
`;

export interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly kernel: Series | undefined;
  /** Without a monitor that reports anything. */
  readonly kept: boolean;
  readonly json: boolean;
}

/** Read the command line; ends the process after --help, and with status 2 when there is something it does not know. */
export function parseOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        kernel: { type: 'string' },
        kept: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    return {
      seconds: wholeNumber('--seconds', values.seconds, 1),
      seed: values.seed === undefined ? randomInt(2 ** 32) : wholeNumber('--seed', values.seed, 0),
      kernel: values.kernel === undefined ? undefined : parseSeries(values.kernel),
      kept: values.kept,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value < 2 ** 32) return value;
  throw new Error(`${option} takes a whole number from ${least} on, below 2^32, not '${text}'`);
}
