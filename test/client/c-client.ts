import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';

const DRIVER = join(PROJECT, 'native/ummunotify');
export const COMPILER = process.env['CC'] ?? 'gcc-12';

/** Compiles one of the driver's own clients. @returns the program's path */
export function compileClient(folder: string, name: string, ...flags: string[]): string {
  const program = join(folder, `${name}${flags.length}`);
  const include = join(DRIVER, 'include/uapi');
  const source = join(DRIVER, 'selftest', `${name}.c`);
  execFileSync(COMPILER, ['-O2', '-pthread', '-I', include, ...flags, '-o', program, source]);
  return program;
}

/** Run a program that speaks TAP; fails with the lines that tell what failed. @param permitted to be skipped */
export function runTap(program: string, permitted: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(program, { encoding: 'utf8' });
  const complaints = stdout.split('\n').filter((line) => /^not ok|^# (?!passed|SKIP)/.test(line));
  assert.equal(status, 0, `${complaints.join('\n')}\n${stderr}`);
  const skipped = [...stdout.matchAll(/^(?:# SKIP (.*)\n)?ok \d+ (\w+) # SKIP/gm)];
  for (const [, why = 'no reason given', name] of skipped) console.log(`      skipped: ${name} (${why})`);
  assert.deepEqual(
    skipped.map(([, , name]) => name).filter((name) => !permitted.includes(name)),
    [],
    'skipped without permission',
  );
  const [, planned] = /^1\.\.(\d+)$/m.exec(stdout)!.map(Number);
  const [, passed, failed] = /^# passed (\d+), failed (\d+)/m.exec(stdout)!.map(Number);
  assert.equal(failed, 0);
  assert.equal(passed + skipped.length, planned);
}
