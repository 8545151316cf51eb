import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export const PARTS = ['device', 'api', 'cli'] as const;
export type Part = (typeof PARTS)[number];

const USAGE = `Usage: npm run fuzz -- [device|api|cli]... [OPTIONS]

Gives arbitrary input to the driver's device, to the public interface and to the command line, each for a while. What
needs the driver or a device runs in the virtual machine where this machine has none.

  --seconds N         for each part (default 60)
  --seed N            repeats a run; otherwise it is random, and printed
  --help              show this

Exit status: 0 nothing found, 1 found something, 2 for a wrong command line.
`;

export interface Options {
  readonly parts: readonly Part[];
  readonly seconds: number;
  readonly seed: number;
}

/** Ends the process when it is asked for help, or for something that there is not. */
export function parseOptions(args: readonly string[]): Options {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const unknown = positionals.find((name) => !(PARTS as readonly string[]).includes(name));
    if (unknown !== undefined) throw new Error(`there is no part '${unknown}'`);
    const parts = PARTS.filter((part) => positionals.length === 0 || positionals.includes(part));
    const [seconds, seed] = [Number(values.seconds), Number(values.seed ?? randomInt(2 ** 31))];
    if (!Number.isSafeInteger(seconds) || seconds < 1)
      throw new Error('--seconds takes a whole number from 1 on');
    if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 31)
      throw new Error('--seed takes a number below 2^31');
    return { parts, seconds, seed };
  } catch (error) {
    process.stderr.write(`npm run fuzz: ${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
