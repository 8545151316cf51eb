import koffi from 'koffi';
import { systemError } from '../../src/errors.js';
import { provideLibrary } from './libraries.js';

let library: ReturnType<typeof load> | undefined;

/** In C: V8 leaves its code out of a fork, so a child that comes back from a call dies of it. */
function load() {
  const lib = koffi.load(provideLibrary('elsewhere'));
  return {
    fork: lib.func('int coverage_fork_idle()') as () => number,
    end: lib.func('int coverage_end_fork(int)') as (pid: number) => number,
  };
}

/** A process that has a copy of all memory, and does nothing until {@link endFork}, or the death of this one. */
export function forkIdle(): number {
  const pid = (library ??= load()).fork();
  if (pid === -1) throw systemError(koffi.errno(), 'fork');
  return pid;
}

export function endFork(pid: number): void {
  const error = (library ??= load()).end(pid);
  if (error !== 0) throw systemError(error, 'waitpid');
}
