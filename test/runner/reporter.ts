import { appendFileSync, writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import { missingCapability } from '../needs.js';
import type { Outcome } from './outcome.js';

const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

/**
 * The spec reporter, which also writes every outcome at once as a line of JSON to the file named by the option
 * `file`, and `{"end":N}`, N tests, when mocha itself got to its end: what is written survives a process that does not.
 */
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { file } = options.reporterOptions as { file: string };
    let tests = 0;
    const write = (line: Outcome | { end: number }): void => {
      if (!('end' in line)) tests++;
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    };
    writeFileSync(file, '');
    const nameOf = (test: Mocha.Test): string => test.titlePath().join(' > ');
    runner.on(EVENT_TEST_PASS, (test) => {
      write({ kind: 'passed', name: nameOf(test) });
    });
    runner.on(EVENT_TEST_FAIL, (test) => {
      write({ kind: 'failed', name: nameOf(test) });
    });
    runner.on(EVENT_TEST_PENDING, (test) => {
      write({ kind: 'skipped', name: nameOf(test), needs: missingCapability(test) });
    });
    runner.once(EVENT_RUN_END, () => {
      write({ end: tests });
    });
  }
}
