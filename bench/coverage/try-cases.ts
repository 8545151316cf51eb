import { fork } from 'node:child_process';
import { type Attempt, type Case, type Cell, type FromTrial, type Monitor, PROMISING } from './cell.js';
import { HEAP_SETTINGS } from './kinds-of-memory.js';
import { UCX_SETTINGS } from './ucx.js';
import { whereItWaits } from './waiting.js';

/** The process that tries changes. */
export interface Trial {
  readonly program: URL;
  /** Of a cell, from its beginning on; ms. */
  readonly limit: number;
  /** For the process to start, and to end: no cell is to blame for that; ms. */
  readonly startLimit: number;
  /** For what has been killed to be gone; ms. */
  readonly killLimit: number;
  /** Told what a process that is late is doing. */
  readonly late: (what: string) => void;
}

const TRIAL: Trial = {
  program: new URL('./trial.js', import.meta.url),
  // More than twice what a cell may wait for the kernel (kernel-moves.ts).
  limit: 60_000,
  startLimit: 300_000,
  killLimit: 60_000,
  late: (what) => process.stderr.write(`${what}\n`),
};
/** On a busy machine a cell can be late once. */
const TRIES = 2;

/**
 * Try all cases under a monitor, in a process of its own: what hangs or dies takes no other cell along, and hooks stay
 * where they were put up. What comes to nothing in time is tried again, and hangs when it does so every time.
 * @param tell called with each cell as it comes
 * @throws when a process does not even start, when one does not go away when it is killed, or when one fails at its end,
 *   under a monitor that promises something: what was registered may be left then
 */
export async function tryCases(
  monitor: Monitor,
  cases: readonly Case[],
  tell: (cell: Cell) => void,
  trial = TRIAL,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  let tries = 1;
  const add = (attempt: Attempt): void => {
    const cell: Cell = { ...attempt, tries };
    tries = 1;
    cells.push(cell);
    tell(cell);
  };
  while (cells.length < cases.length) {
    const end = await tryUntilItEnds(monitor, cases.slice(cells.length), add, trial);
    if (end === undefined || cells.length === cases.length) continue;
    if (end.cell === 'hang' && tries < TRIES) tries++;
    else add({ ...cases[cells.length], pfn: '-', ...end });
  }
  return cells;
}

/** One process; how it came to a premature end. */
function tryUntilItEnds(
  monitor: Monitor,
  cases: readonly Case[],
  add: (attempt: Attempt) => void,
  { program, limit, startLimit, killLimit, late: tellLate }: Trial,
): Promise<Pick<Attempt, 'cell' | 'errno'> | undefined> {
  return new Promise((resolve, reject) => {
    // The bytes that a trial prints are none of the result's.
    const child = fork(program, [monitor, JSON.stringify(cases)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      env: { ...process.env, ...HEAP_SETTINGS, ...(monitor === 'ucx' ? UCX_SETTINGS : {}) },
    });
    let left = cases.length;
    let late: 'cell' | 'start' | undefined;
    const waitFor = (what: 'cell' | 'start', milliseconds: number): NodeJS.Timeout =>
      setTimeout(() => {
        late = what;
        tellLate(`${monitor}: nothing for ${milliseconds / 1000} s\n${whereItWaits(child.pid!)}`);
        child.kill('SIGKILL');
        timer = setTimeout(leave, killLimit);
      }, milliseconds);
    // What waits in the kernel, or a descendant that has the channel, must not keep this process waiting for ever.
    const leave = (): void => {
      const where = whereItWaits(child.pid!);
      reject(
        new Error(`${monitor}: a process was killed and has not ended in ${killLimit / 1000} s\n${where}`),
      );
      child.unref();
      if (child.connected) child.disconnect();
    };
    let timer = waitFor('start', startLimit);
    child.on('message', (message: FromTrial) => {
      if (late !== undefined) return;
      clearTimeout(timer);
      if (message === 'begin') {
        timer = waitFor('cell', limit);
      } else {
        left--;
        add(message);
        timer = waitFor('start', startLimit);
      }
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const how = signal ?? `exit status ${status}`;
      if (late === 'start' && left > 0)
        reject(new Error(`${monitor}: a process began with no change in time`));
      else if (late === 'cell') resolve({ cell: 'hang', errno: 'ETIMEDOUT' });
      else if (status === 0) resolve(undefined);
      else if (left > 0) resolve({ cell: 'crash', errno: how });
      else if (PROMISING.has(monitor)) reject(new Error(`${monitor}: the process failed at its end: ${how}`));
      else resolve(undefined);
    });
  });
}
