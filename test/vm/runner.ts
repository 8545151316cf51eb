import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';

/** How a run of the VM runner ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A runner at work. */
export interface Started {
  readonly child: ChildProcess;
  /** Resolves when the command has written this to stdout; rejects when the runner ends without. */
  saw(text: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** Starts the runner with a command line, as `npm run vm` does. */
export function startVm(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Started {
  // Started by npm or not, the runner is to watch nobody but us.
  const child = spawn(process.execPath, [join(PROJECT, 'dist/native/vm/main.js'), ...args], {
    cwd: PROJECT,
    env: { ...env, npm_lifecycle_event: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([status, signal]) => ({
    status: status as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout: Buffer.concat(stdout),
    stderr,
  }));
  const saw = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (Buffer.concat(stdout).includes(text)) resolve();
      };
      child.stdout.on('data', look);
      look();
      void ended.then(() => {
        reject(new Error(`the runner ended without printing ${text}: ${stderr}`));
      });
    });
  return { child, saw, ended };
}

/** Runs the runner to its end. */
export function runVm(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  return startVm(args, env).ended;
}

/** The processes a process has started, by their numbers. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && statOf(pid)?.parent === parent);
}

/** Waits until none of the processes is left; false when one still is after half a minute. */
export async function allGone(pids: readonly number[]): Promise<boolean> {
  for (let tries = 0; tries < 600; tries++) {
    // A zombie runs no more; who reaps it is not the runner's business.
    if (pids.every((pid) => (statOf(pid)?.state ?? 'Z') === 'Z')) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

/** State and parent from /proc/PID/stat; the name in it, in brackets, may contain anything. */
function statOf(pid: number): { state: string; parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
