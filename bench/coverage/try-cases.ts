import { fork } from 'node:child_process';
import type { Case, Cell, Monitor } from './cell.js';
import { UCX_SETTINGS } from './ucx.js';

/** No cell takes this long on an emulated processor; ms. */
const LIMIT = 30_000;
/** Nor does a process until its first cell, on one that others keep busy; ms. */
const START_LIMIT = 120_000;

/**
 * Try all cases under a monitor, in a process of its own: what hangs or dies takes no other cell along, and hooks stay
 * where they were put up.
 * @param tell called with each cell as it comes
 */
export async function tryCases(
  monitor: Monitor,
  cases: readonly Case[],
  tell: (cell: Cell) => void,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  const add = (cell: Cell): void => {
    cells.push(cell);
    tell(cell);
  };
  while (cells.length < cases.length) {
    const end = await tryUntilItEnds(monitor, cases.slice(cells.length), add);
    if (end !== undefined && cells.length < cases.length) add({ ...cases[cells.length], pfn: '-', ...end });
  }
  return cells;
}

/** One process; how it came to a premature end. */
function tryUntilItEnds(
  monitor: Monitor,
  cases: readonly Case[],
  add: (cell: Cell) => void,
): Promise<Pick<Cell, 'cell' | 'errno'> | undefined> {
  return new Promise((resolve) => {
    // The bytes that a trial prints are none of the result's.
    const child = fork(new URL('./trial.js', import.meta.url), [monitor, JSON.stringify(cases)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      env: monitor === 'ucx' ? { ...process.env, ...UCX_SETTINGS } : process.env,
    });
    let hangs = false;
    const end = (): void => {
      hangs = true;
      child.kill('SIGKILL');
    };
    let timer = setTimeout(end, START_LIMIT);
    // It says first that it is there.
    child.on('message', (message: Cell | 'ready') => {
      if (message !== 'ready') add(message);
      clearTimeout(timer);
      timer = setTimeout(end, LIMIT);
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (hangs) resolve({ cell: 'hang', errno: 'ETIMEDOUT' });
      else resolve(status === 0 ? undefined : { cell: 'crash', errno: signal ?? `exit status ${status}` });
    });
  });
}
