import { parseArgs } from 'node:util';
import { STATUS_USAGE, VmError } from './errors.js';
import { DEFAULT_SERIES, parseSeries } from './kernel.js';
import type { VmOptions } from './run-in-vm.js';

export const USAGE = `Usage: npm run vm -- [OPTIONS] COMMAND [ARGUMENT...]

Boots a stock distribution kernel with the ummunotify driver and the Soft-RoCE device rxe0, with this machine's files
as its own, and runs COMMAND there as root in the project's folder. Output and exit status are the command's. What it
writes below bench/results/ and test/results/ stays; everything else it writes is gone afterwards.

  --kernel NAME       the kernel to boot: 6.1, 6.12, or newest, of Debian 13's backports (default: $VM_KERNEL, or 6.1)
  --limit SECONDS     end a command that takes longer, with exit status 124 (default 600; 0: no limit)
  --memory MIB        the guest's memory (default 4096)
  --cpus N            the guest's processors (default 2)
  --nodes N           divide them among N NUMA nodes (default 1)
  --fault N           load the driver with fault N of the original put back, 1 to 7, to see tests notice it
  --verbose           show the kernel's console and the boot time on stderr
  --help              show this

COMMAND and its arguments are passed as they are, no shell looks at them; for a shell: sh -c 'a | b'. It reads no input.
Exit status 125: the virtual machine failed, or its kernel reported a fault.
`;

/**
 * The settings a run has without any options.
 * @param kernel the kernel asked for, instead of the environment's
 */
export function defaultOptions(kernel?: string): VmOptions {
  const asked = kernel ?? process.env['VM_KERNEL'] ?? '';
  return {
    kernel: asked === '' ? DEFAULT_SERIES : parseSeries(asked),
    limit: 600,
    memory: 4096,
    cpus: 2,
    verbose: false,
  };
}

const OPTIONS = {
  kernel: { type: 'string' },
  limit: { type: 'string' },
  memory: { type: 'string' },
  cpus: { type: 'string' },
  nodes: { type: 'string' },
  fault: { type: 'string' },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** What a command line of the runner asks for. */
export interface CommandLine {
  /** Asks for the usage only. */
  readonly help: boolean;
  readonly options: VmOptions;
  readonly command: readonly string[];
}

/** Splits a command line into options, which come first, and the command. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const end = commandStart(args);
  const { values } = parseOptions(args.slice(0, end));
  const defaults = defaultOptions(values.kernel);
  const cpus = wholeNumber('--cpus', values.cpus, 1) ?? defaults.cpus;
  const fault = wholeNumber('--fault', values.fault, 1, 7);
  return {
    help: values.help,
    command: args.slice(args[end] === '--' ? end + 1 : end),
    options: {
      ...defaults,
      limit: wholeNumber('--limit', values.limit, 0) ?? defaults.limit,
      memory: wholeNumber('--memory', values.memory, 512) ?? defaults.memory,
      cpus,
      nodes: wholeNumber('--nodes', values.nodes, 1, cpus) ?? 1,
      ...(fault === undefined ? {} : { fault }),
      verbose: values.verbose,
    },
  };
}

/** Index of the first argument that is neither an option nor an option's value. */
function commandStart(args: readonly string[]): number {
  let index = 0;
  for (;;) {
    const arg = args[index] ?? '';
    if (!arg.startsWith('--') || arg === '--') return index;
    const option = Object.entries(OPTIONS).find(([name]) => `--${name}` === arg)?.[1];
    index += option?.type === 'string' ? 2 : 1;
  }
}

function parseOptions(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>> {
  try {
    return parseArgs({ args: [...args], options: OPTIONS });
  } catch (error) {
    throw new VmError(`${(error as Error).message}\n\n${USAGE}`, STATUS_USAGE);
  }
}

function wholeNumber(
  option: string,
  text: string | undefined,
  least: number,
  most = Infinity,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  const bounds = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new VmError(`${option} takes a whole number ${bounds}, not '${text}'`, STATUS_USAGE);
}
