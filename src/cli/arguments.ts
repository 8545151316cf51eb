import { parseArgs, type ParseArgsConfig } from 'node:util';
import { CliError, EXIT } from './cli-error.js';

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<T extends Options> = ReturnType<typeof parseArgs<{ options: T; strict: true }>>;

/**
 * Options of a command.
 * @throws CliError, with how it is used
 */
export function parseArguments<T extends Options>(
  args: readonly string[],
  options: T,
  usage: string,
): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true });
  } catch (error) {
    throw new CliError(`${(error as Error).message}\n\n${usage}`, EXIT.USAGE);
  }
}
