/** What `npm run bench -- ...` takes. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { BENCHES } from './benches.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/** In %: what differs less is no regression, however small the spread is. */
const TOLERANCE = 5;

const OWN = {
  compare: { type: 'string' },
  'no-run': { type: 'boolean', default: false },
  tolerance: { type: 'string', default: String(TOLERANCE) },
  help: { type: 'boolean', default: false },
} as const satisfies Options;

/** Only writes the report anew. */
const REPORT = 'report';

export const USAGE = `Usage: npm run bench -- [NAME...] [OPTIONS]
       npm run bench -- ${REPORT}

Runs the benchmarks, all if none is named, each where what it measures is: on this machine, or where there is no RDMA
device in the virtual machine, or both. Saves each result below bench/results/, as NAME.json and NAME.svg, from another
place than the usual one as NAME-PART.json (miss-vm, coverage-6.12), and writes a page about all that are saved there,
report.html; "${REPORT}" does only that.

${[...BENCHES].map(([name, { about }]) => `  ${name.padEnd(12)} ${about.question}\n${about.usage === undefined ? '' : `${' '.repeat(15)}${about.usage}\n`}`).join('')}
  --compare FILE       compare with a saved result, or a folder of them, and run those that are in it if none is named
  --compare FILE FILE  compare two, the earlier one first; nothing is run
  --no-run             compare FILE with what was saved last; nothing is run
  --tolerance PERCENT  what is worse by less is no regression (default ${TOLERANCE})
  --json               print results, and the comparison, for programs
  --help               show this

Exit status: 0; 1 when something got worse; 2 when the command line makes no sense or nothing could be compared; that
of a benchmark that failed. A benchmark that fails does not keep the others from being run.
`;

/** A command line that makes no sense; the message is for the user. */
export class UsageError extends Error {}

export interface CommandLine {
  readonly action: 'help' | 'report' | 'run' | 'compare';
  /** Of the benchmarks that are chosen; none: all. */
  readonly names: readonly string[];
  /** Files or folders to compare with; with the second, if there is one. */
  readonly compare: readonly string[];
  /** Whether to run anything. */
  readonly run: boolean;
  /** In %. */
  readonly tolerance: number;
  readonly json: boolean;
  /** For the programs. */
  readonly args: readonly string[];
}

export function parseCommandLine(args: readonly string[]): CommandLine {
  const first = args.findIndex((arg) => arg.startsWith('-'));
  const names = first === -1 ? [...args] : args.slice(0, first);
  const theirs = optionsOf(names);
  const { values, positionals } = parse(args.slice(names.length), { ...theirs, ...OWN });
  const compare = values['compare'] === undefined ? [] : [values['compare'] as string, ...positionals];
  if (compare.length === 0 && positionals.length > 0)
    throw new UsageError(`the names of benchmarks come first: ${positionals.join(' ')}`);
  if (compare.length > 2) throw new UsageError('--compare takes one or two files or folders');
  if (values['no-run'] === true && compare.length === 0)
    throw new UsageError('--no-run goes with --compare FILE');
  const tolerance = Number(values['tolerance']);
  if (!(tolerance >= 0)) throw new UsageError('--tolerance takes a number of percent');
  return {
    action:
      values['help'] === true
        ? 'help'
        : names.includes(REPORT)
          ? 'report'
          : compare.length > 0
            ? 'compare'
            : 'run',
    names: names.filter((name) => name !== REPORT),
    compare,
    run: values['no-run'] !== true && compare.length < 2,
    tolerance,
    json: values['json'] === true,
    args: Object.keys(theirs).flatMap((name) =>
      [values[name] ?? []].flat().flatMap((value) => argumentOf(name, value)),
    ),
  };
}

/** What all of them know. */
function optionsOf(names: readonly string[]): Options {
  if (names.includes(REPORT)) {
    if (names.length > 1) throw new UsageError(`"${REPORT}" goes without the names of benchmarks`);
    return {};
  }
  const unknown = names.filter((name) => !BENCHES.has(name));
  if (unknown.length > 0) throw new UsageError(`there is no benchmark ${unknown.join(', ')}`);
  const all = (names.length > 0 ? names : [...BENCHES.keys()]).map(
    (name) => BENCHES.get(name)!.about.options,
  );
  // What they take when it is left out they know themselves.
  return Object.fromEntries(
    Object.entries(all[0])
      .filter(([name]) => all.every((options) => name in options))
      .map(([name, { type, multiple = false }]) => [name, { type, multiple }]),
  );
}

type Value = string | boolean;

function parse(
  args: readonly string[],
  options: Options,
): { values: Record<string, Value | Value[] | undefined>; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ', 1)[0]);
  }
}

function argumentOf(name: string, value: Value): string[] {
  if (typeof value === 'string') return [`--${name}`, value];
  return value ? [`--${name}`] : [];
}
