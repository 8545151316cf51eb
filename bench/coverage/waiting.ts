/** Where a process that gets nothing done waits, for whoever looks at that afterwards. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Of the kernel's log. */
const LAST_LINES = 20;

/**
 * What a process and its children do, and what the kernel said last. Threads that do the same are counted together: name,
 * state (proc(5)), where in the kernel they wait, and for root how they came there.
 */
export function whereItWaits(pid: number): string {
  return [...processAndChildren(pid), 'the kernel said last:', ...lastOfKernel()].join('\n  ');
}

function processAndChildren(pid: number): string[] {
  try {
    const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'latin1').trim();
    const tasks = readdirSync(`/proc/${pid}/task`).map((task) => `task/${task}`);
    const counts = new Map<string, number>();
    for (const task of tasks) {
      const what = threadOf((file) => read(`${task}/${file}`));
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    return [
      `process ${pid}: ${read('cmdline').replaceAll('\0', ' ')}`,
      ...[...counts].map(([what, count]) => `${count} x ${what}`),
      ...childrenOf(pid).flatMap((child) => processAndChildren(child)),
    ];
  } catch (error) {
    // It ends just now, or one of its threads.
    return [`process ${pid}: ${(error as Error).message}`];
  }
}

/** By what each process says of its parent: not every kernel lists the children of one (CONFIG_PROC_CHILDREN). */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function threadOf(read: (file: string) => string): string {
  const state = /^State:\s*(\S)/m.exec(read('status'))?.[1] ?? '?';
  return `${read('comm')} ${state} ${read('wchan')}${stackOf(read)
    .map((call) => `\n      ${call}`)
    .join('')}`;
}

function stackOf(read: (file: string) => string): string[] {
  try {
    return read('stack')
      .split('\n')
      .map((line) => line.replace('[<0>] ', ''));
  } catch {
    return [];
  }
}

/** Not every user may read it. */
function lastOfKernel(): string[] {
  try {
    const log = execFileSync('dmesg', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return log.trimEnd().split('\n').slice(-LAST_LINES);
  } catch {
    return ['(not known)'];
  }
}
