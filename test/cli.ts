import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT } from '../native/vm/project.js';

/** The program's file, as the package names it. */
export const PROGRAM = join(PROJECT, 'dist/src/cli/main.js');

/** Runs the program to its end, without the terminal's or the operator's settings. */
export function cli(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  });
  return { status, stdout, stderr };
}

/** What `doctor --json` prints, as far as tests look at it. */
export interface DoctorReport {
  schema: number;
  version: string;
  node: string;
  ok: boolean;
  findings: { id: string; status: string; text: string; mend?: string; facts?: Record<string, unknown> }[];
}

export function doctor(env?: NodeJS.ProcessEnv): { status: number | null; report: DoctorReport } {
  const { status, stdout } = cli(['doctor', '--json'], env);
  return { status, report: JSON.parse(stdout) as DoctorReport };
}

/** The first finding of that name. */
export function finding(report: DoctorReport, id: string): DoctorReport['findings'][number] {
  const found = report.findings.find((each) => each.id === id);
  if (found === undefined) throw new Error(`no finding ${id}`);
  return found;
}
