// npm run bench -- [NAME...] [OPTIONS]: runs benchmarks, each where what it measures is, and reports; --help says more.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithCaller } from '../native/vm/ending.js';
import { reportFailure, STATUS_USAGE } from '../native/vm/errors.js';
import { BENCHES } from './benches.js';
import { type CommandLine, parseCommandLine, USAGE, UsageError } from './command-line.js';
import { type Comparison, compare } from './compare/compare.js';
import { regressions, renderComparison } from './compare/render.js';
import { report } from './report/report.js';
import { benchOf, type Result, RESULTS } from './result.js';
import { loadResults, NoResultError } from './saved.js';

endWithCaller();
try {
  process.exitCode = await main(parseCommandLine(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError || error instanceof NoResultError)) throw error;
  process.stderr.write(
    `bench: ${error.message}\n${error instanceof UsageError ? 'npm run bench -- --help tells what there is.\n' : ''}`,
  );
  process.exitCode = STATUS_USAGE;
}

async function main(asked: CommandLine): Promise<number> {
  switch (asked.action) {
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    case 'report':
      writeReport();
      return 0;
    case 'run':
      return runAll(asked.names.length > 0 ? asked.names : [...BENCHES.keys()], asked.args);
    case 'compare':
      return compareAll(asked);
  }
}

/** @returns the exit status of the last one that failed, or 0 */
async function runAll(names: readonly string[], args: readonly string[]): Promise<number> {
  const start = performance.now();
  const failed: string[] = [];
  let status = 0;
  for (const [n, name] of names.entries()) {
    process.stderr.write(`[${n + 1}/${names.length}] ${name}, ${elapsed(start)} so far\n`);
    const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    const own = await BENCHES.get(name)!
      .run([process.execPath, program, ...args])
      .catch(reportFailure);
    if (own === 0) continue;
    status = own;
    failed.push(`${name} (exit status ${own})`);
  }
  writeReport();
  process.stderr.write(
    `${names.length} benchmark${names.length === 1 ? '' : 's'} in ${elapsed(start)}` +
      `${failed.length === 0 ? '' : `; failed: ${failed.join(', ')}`}\n`,
  );
  return status;
}

function elapsed(start: number): string {
  const seconds = Math.round((performance.now() - start) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function writeReport(): void {
  mkdirSync(RESULTS, { recursive: true });
  const path = join(RESULTS, 'report.html');
  writeFileSync(path, report(BENCHES, saved()));
  process.stderr.write(`report: ${path}\n`);
}

function saved(): Map<string, Result> {
  return existsSync(RESULTS) ? load(RESULTS) : new Map<string, Result>();
}

function load(path: string): Map<string, Result> {
  return loadResults(path, (why) => process.stderr.write(`left out: ${why}\n`));
}

async function compareAll({
  names,
  compare: paths,
  run,
  args,
  tolerance,
  json,
}: CommandLine): Promise<number> {
  // npm goes to the project's folder. And a run writes over what is saved there.
  const [before, later] = paths.map((path) => load(resolve(process.env['INIT_CWD'] ?? '.', path)));
  const nameOfBench = (result: string): string => benchOf(result, BENCHES.keys()) ?? result;
  const parts = (name: string): string[] =>
    [...before.keys()].filter((result) => nameOfBench(result) === name);
  const wanted =
    names.length > 0
      ? names.flatMap((name) => (parts(name).length > 0 ? parts(name) : [name]))
      : [...before.keys()];
  const old = run ? saved() : undefined;
  const status = run
    ? await runAll(
        [...new Set(wanted.map(nameOfBench))].filter((name) => BENCHES.has(name)),
        args,
      )
    : 0;
  const now = paths.length === 2 ? later : saved();
  const comparisons: Comparison[] = [];
  for (const name of wanted) {
    const [was, is] = [before.get(name), now.get(name)];
    if (was === undefined) {
      process.stderr.write(`${name}: there is no earlier result\n`);
    } else if (is === undefined || (old?.has(name) && old.get(name)!.date === is.date)) {
      // It failed, or was asked for a part only.
      process.stderr.write(`${name}: there is no later result\n`);
    } else {
      comparisons.push(compare(was, is, BENCHES.get(nameOfBench(name))?.about.columns ?? {}, tolerance));
    }
  }
  if (json) console.log(JSON.stringify(comparisons));
  else for (const one of comparisons) console.log(renderComparison(one, tolerance));
  if (status !== 0) return status;
  if (comparisons.every(({ differences }) => differences.length === 0)) return STATUS_USAGE;
  return regressions(comparisons) > 0 ? 1 : 0;
}
