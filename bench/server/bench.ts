/** What the benchmarks with the key-value server have in common: options, measuring, and what is printed and saved. */
import { loadHelper } from '../../src/monitor/helper.js';
import type { About } from '../about/about.js';
import { ALL, type MemoryName, type MonitorOrCopy } from '../about/server.js';
import { provideLibrary } from '../coverage/libraries.js';
import { here, type Result, save, table } from '../result.js';
import { measure, type Plan } from './measure.js';
import { failures, rowsOf } from './rows.js';

/** Values that the server has. */
const KEYS = 128;
/** Of 100 requests, those that replace a value. */
const PUTS = 10;
const SEED = 1;

export interface Benchmark {
  readonly name: string;
  readonly about: About;
  /** All that it measures. */
  readonly memories: readonly MemoryName[];
  readonly rounds: number;
  /** Of each round, monitor and way to use memory; as many come first. */
  readonly requests: number;
}

/** What the command line says; what it does not is not there. */
export interface Asked {
  readonly json: boolean;
  readonly monitor?: string[];
  readonly memory?: string[];
  readonly rounds?: string;
  readonly requests?: string;
  readonly puts?: string;
  readonly seed?: string;
}

export async function runBenchmark(benchmark: Benchmark, asked: Asked): Promise<void> {
  const plan = planOf(benchmark, asked);
  const { monitors, memories } = plan;
  // Compiled when there are none yet, and not by each of the processes.
  if (monitors.some((name) => name === 'userfaultfd' || name === 'malloc-hooks')) loadHelper();
  if (monitors.includes('ucx')) provideLibrary('ucx');
  const all = await measure(plan, (text) => process.stderr.write(`${text}\n`));
  const result: Result = {
    ...here(),
    name: benchmark.name,
    monitor: monitors.join(', '),
    registrar: 'ibverbs',
    unit: 'us, median of the rounds, where the column names no other',
    rows: rowsOf(all),
  };
  // A part, or other requests, must not take the place of the whole.
  const whole = Object.keys(asked).every((option) => option === 'json');
  const path = whole ? save(result, benchmark.about.figures) : undefined;
  console.log(asked.json ? JSON.stringify(result) : render(result, benchmark, plan, path));
  for (const why of failures(all, monitors, memories)) {
    process.stderr.write(`${why}\n`);
    process.exitCode = 1;
  }
}

function planOf({ memories, rounds, requests }: Benchmark, asked: Asked): Plan {
  const measured = wholeNumber('requests', asked.requests, 1, 10_000_000) ?? requests;
  return {
    monitors: chosen<MonitorOrCopy>('monitor', asked.monitor, ALL),
    memories: chosen('memory', asked.memory, memories),
    rounds: wholeNumber('rounds', asked.rounds, 1, 1000) ?? rounds,
    seed: wholeNumber('seed', asked.seed, 0, 0x7fff_ffff) ?? SEED,
    puts: (wholeNumber('puts', asked.puts, 1, 99) ?? PUTS) / 100,
    keys: KEYS,
    requests: measured,
    warmUp: measured,
  };
}

function chosen<Name extends string>(
  option: string,
  names: readonly string[] | undefined,
  all: readonly Name[],
): readonly Name[] {
  const unknown = names?.find((name) => !(all as readonly string[]).includes(name));
  if (unknown !== undefined) refuse(option, all.map((name) => `'${name}'`).join(', '), unknown);
  return names === undefined ? all : all.filter((name) => names.includes(name));
}

function wholeNumber(
  option: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    refuse(option, `a whole number from ${least} to ${most}`, text);
  return value;
}

function refuse(option: string, takes: string, given: string): never {
  process.stderr.write(`--${option} takes ${takes}, not '${given}'\n`);
  process.exit(2);
}

function render(result: Result, { about }: Benchmark, plan: Plan, saved: string | undefined): string {
  const { where, kernel, rows } = result;
  return [
    `a key-value server, by who watches its memory (${where}, Linux ${kernel}; median of ${plan.rounds} rounds of ` +
      `${plan.requests} requests, ${Math.round(100 * plan.puts)}% of which replace a value; times in us)`,
    ...Object.entries(about.terms).map(([term, meaning]) => `  ${term.padEnd(15)} ${meaning}`),
    '',
    table(rows),
    '',
    about.answer(result) ?? '',
    ...(saved === undefined ? [] : ['', `saved as ${saved}`]),
  ].join('\n');
}
