import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import { failed, passed, type Outcome } from './outcome.js';

const CHECKS = {
  types: ['typescript/bin/tsc', '-p', '.', '--noEmit', '--incremental', 'false'],
  lint: ['eslint/bin/eslint.js', '.'],
  reference: ['typedoc/bin/typedoc', '--emit', 'none'],
  format: ['prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
};

/** What the compiler, the linter, the formatter and TypeDoc say of the sources, each counted as a test. */
export function runStaticChecks(): Promise<Outcome[]> {
  process.stdout.write('\n  sources\n');
  return Promise.all(Object.entries(CHECKS).map(([name, argv]) => check(name, argv)));
}

function check(name: string, [program = '', ...args]: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const argv = [join('node_modules', program), ...args];
    const child = execFile(
      process.execPath,
      argv,
      { cwd: PROJECT, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        process.off('exit', kill);
        if (error) process.stdout.write(`    ${name} failed\n${stdout}${stderr}\n`);
        else process.stdout.write(`    ✔ ${name}\n`);
        resolve(error ? failed(`sources > ${name}`) : passed(`sources > ${name}`));
      },
    );
    const kill = (): void => {
      child.kill();
    };
    process.on('exit', kill);
  });
}
