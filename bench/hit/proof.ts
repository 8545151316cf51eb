import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import { type LoopCost, MARKS, type Subject } from './proof-loop.js';

/** What a loop cost besides time. */
export interface Cost extends LoopCost {
  /** Garbage collections in the loop. */
  collections: number;
  /** System calls of the thread that loops. A hit that had another thread do something would have to wake it with one. */
  systemCalls: number;
}

/** Runs a loop in a process of its own. System calls are not counted without strace. */
export function costOf(subject: Subject, hits: number, { strace = false } = {}): Cost {
  const folder = mkdtempSync(join(tmpdir(), 'regcache-proof-'));
  const trace = join(folder, 'trace');
  try {
    const program = join(PROJECT, 'dist', 'bench', 'hit', 'proof-loop.js');
    const loop = [process.execPath, '--expose-gc', program, subject, String(hits)];
    const [command, ...args] = strace ? ['strace', '-f', '-o', trace, ...loop] : loop;
    const { status, error, output } = spawnSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      maxBuffer: 2 ** 28,
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`the loop '${subject}' ended with status ${String(status)}`);
    const [, collections, , cost] = output;
    return {
      ...(JSON.parse(cost!) as LoopCost),
      // A line each.
      collections: collections!.trim() === '' ? 0 : collections!.trim().split('\n').length,
      systemCalls: strace ? callsBetweenMarks(readFileSync(trace, 'latin1')) : 0,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function callsBetweenMarks(trace: string): number {
  const lines = trace.split('\n');
  const begin = lines.findIndex((line) => line.includes(MARKS.begin));
  const end = lines.findIndex((line) => line.includes(MARKS.end));
  if (begin === -1 || end < begin) throw new Error('the marks of the loop are not in the trace');
  const [thread] = lines[begin].split(' ', 1);
  // Not the line in which a call ends that was interrupted by one of another thread.
  const call = new RegExp(`^${thread} +\\w+\\(`);
  return lines.slice(begin + 1, end).filter((line) => call.test(line)).length;
}
