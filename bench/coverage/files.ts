/** Ways to change a file under its mapping, also from outside of this process. */
import type { Calls } from '../system-calls.js';
import type { Place } from './kinds-of-memory.js';

const PUNCH_HOLE = 1 | 2; // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

export function truncate({ file, length }: Place, { raw }: Calls): void {
  raw('ftruncate', file, 0);
  raw('ftruncate', file, length);
}

export function punch({ file, length }: Place, { raw }: Calls): void {
  raw('fallocate', file, PUNCH_HOLE, 0, length);
}

/** A command of another process, to its end. */
type Run = (...words: string[]) => void;

export function truncateOutside({ file, length }: Place, run: Run): void {
  run('truncate', '-s', '0', pathOf(file));
  run('truncate', '-s', String(length), pathOf(file));
}

export function punchOutside({ file, length }: Place, run: Run): void {
  run('fallocate', '--punch-hole', '--offset', '0', '--length', String(length), pathOf(file));
}

const pathOf = (file: number): string => `/proc/${process.pid}/fd/${file}`;
