import { parseArgs, type ParseArgsConfig } from 'node:util';
import { CliError, EXIT } from './cli-error.js';

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; strict: true; allowPositionals: true }>
>;

/**
 * Options of a command.
 * @param allowPositionals whether it takes something else, too
 * @throws CliError, with how it is used
 */
export function parseArguments<T extends Options>(
  args: readonly string[],
  options: T,
  usage: string,
  { allowPositionals = false } = {},
): Parsed<T> {
  try {
    return parseArgs<{ options: T; strict: true; allowPositionals: true }>({
      ...{ args: [...args], options, strict: true },
      // False is less than the type says: positionals is empty then.
      allowPositionals: allowPositionals as true,
    });
  } catch (error) {
    throw new CliError(`${(error as Error).message}\n\n${usage}`, EXIT.USAGE);
  }
}
