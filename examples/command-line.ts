/**
 * What `read` makes of a command line; it throws for what makes no sense. Ends the process after --help, and with
 * status 2 after what makes no sense.
 */
export function readCommandLine<T>(args: readonly string[], usage: string, read: (args: string[]) => T): T {
  if (args.includes('--help')) {
    process.stdout.write(usage);
    process.exit(0);
  }
  try {
    return read([...args]);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${option} takes a whole number from ${least} to ${most}, not '${text}'`);
}

/** What a program throws that has a mistake in it. */
const MISTAKES = [TypeError, ReferenceError, RangeError];

/** Run an example to its end. What goes wrong outside of it is told in a line; only a mistake of its own has a stack. */
export async function run(name: string, example: () => Promise<void>): Promise<void> {
  try {
    await example();
  } catch (thrown) {
    const error = thrown as Error;
    const isMistake = MISTAKES.some((kind) => error instanceof kind);
    process.stderr.write(`${name}: ${isMistake ? error.stack : error.message}\n`);
    process.exitCode = 1;
  }
}
