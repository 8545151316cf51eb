import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import { failed, type Outcome } from './outcome.js';

/** Runs a command to its end and returns its exit status. */
export type Run = (argv: readonly string[]) => Promise<number>;

/**
 * Runs the tests of a folder below test/ with mocha and returns how each ended. A mocha that crashed, was killed or
 * ran nothing is a failure of its own: silence is never a pass.
 */
export async function runMocha(folder: string, run: Run, grep: string | undefined): Promise<Outcome[]> {
  const results = join(PROJECT, 'test', 'results');
  // Several runs of the same clone may be under way.
  const file = join(results, `${folder}-${process.pid}.jsonl`);
  mkdirSync(results, { recursive: true });
  rmSync(file, { force: true });
  let status: number;
  try {
    status = await run([
      process.execPath,
      join('node_modules', 'mocha', 'bin', 'mocha.js'),
      '--forbid-only',
      '--reporter',
      join('dist', 'test', 'runner', 'reporter.js'),
      '--reporter-option',
      `file=${file}`,
      ...(grep === undefined ? [] : ['--grep', grep]),
      `dist/test/${folder}/**/*.test.js`,
    ]);
  } catch (error) {
    process.stderr.write(`${folder}: ${error instanceof Error ? error.message : String(error)}\n`);
    return [...readOutcomes(file).outcomes, failed(`${folder}: the suite could not be run to its end`)];
  }
  const { outcomes, ended } = readOutcomes(file);
  rmSync(file, { force: true });
  const failures = outcomes.filter(({ kind }) => kind === 'failed').length;
  if (ended === undefined) outcomes.push(failed(`${folder}: the suite crashed (exit status ${status})`));
  else if (ended !== outcomes.length)
    outcomes.push(failed(`${folder}: ${ended} tests ended, ${outcomes.length} are known`));
  else if (status !== 0 && failures === 0)
    outcomes.push(failed(`${folder}: mocha ended with status ${status}`));
  else if (outcomes.length === 0 && grep === undefined) outcomes.push(failed(`${folder}: no test was run`));
  return outcomes;
}

/** Reads what a guest or a mocha wrote, a line of JSON for each test; `ended` is how many there were, at the end. */
export function readOutcomes(file: string): { outcomes: Outcome[]; ended: number | undefined } {
  const outcomes: Outcome[] = [];
  let ended: number | undefined;
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  for (const line of text.split('\n')) {
    const entry = parse(line);
    if (entry === undefined) continue;
    if ('end' in entry) ended = entry.end;
    else outcomes.push(entry);
  }
  return { outcomes, ended };
}

/** A line that the crash of its writer cut off is none. */
function parse(line: string): Outcome | { end: number } | undefined {
  try {
    return JSON.parse(line) as Outcome | { end: number };
  } catch {
    return undefined;
  }
}
