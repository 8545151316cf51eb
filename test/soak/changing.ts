import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { endFork, forkIdle } from '../../bench/coverage/idle-process.js';
import { CHANGE_NAMES, type Changed, changeSomehow } from './changes.js';
import { BEATS, CHANGES, type Orders, STOP } from './messages.js';
import { Places } from './places.js';
import { Random } from './random.js';

const FORK = 'fork, which lives on for a while';
const EXEC = 'exec in a child';
const COMPACT = 'compaction';
const AROUND_ALL = [FORK, EXEC, COMPACT];

/** All that a thread that changes places may do. */
export const ALL_CHANGES: readonly string[] = [...CHANGE_NAMES, FORK, EXEC, COMPACT];

/** Change places, one after the other, until told to stop. @returns how often what was done */
export function changeUntilStopped({ thread, seed, places: shared, words }: Orders): Record<string, number> {
  const places = new Places(shared);
  const random = new Random(seed, thread);
  const never = new Int32Array(new SharedArrayBuffer(4));
  const made: Record<string, number> = {};
  let around = 0;
  let child: number | undefined;
  const endChild = (): void => {
    if (child !== undefined) endFork(child);
    child = undefined;
  };
  while (Atomics.load(words, STOP) === 0) {
    const name = random.chance(0.02) ? aroundAll() : changeOne();
    if (name !== undefined) {
      made[name] = (made[name] ?? 0) + 1;
      Atomics.add(words, CHANGES, 1);
    }
    Atomics.add(words, BEATS + thread, 1);
    // Longer than a change takes: the threads that transfer are to get somewhere, and to find some places unchanged.
    Atomics.wait(never, 0, 0, random.below(40));
  }
  endChild();
  return made;

  function changeOne(): string | undefined {
    const n = random.below(Places.count);
    return changeLocked(places, n, random)?.name;
  }

  /** What changes no place by itself. In turn, since they are so rare that chance could leave one out. */
  function aroundAll(): string {
    const name = AROUND_ALL[around++ % AROUND_ALL.length];
    if (name === FORK) {
      endChild();
      child = forkIdle();
    } else if (name === EXEC) {
      spawnSync('true');
    } else {
      compact();
    }
    return name;
  }
}

/** Change a place unless somebody else uses it. */
export function changeLocked(places: Places, n: number, random: Random): Changed | undefined {
  if (!places.tryLock(n)) return undefined;
  try {
    const changed = changeSomehow(places.kindOf(n), places.get(n), random);
    places.set(n, changed.place);
    return changed;
  } finally {
    places.unlock(n);
  }
}

/** For root only. */
function compact(): void {
  try {
    writeFileSync('/proc/sys/vm/compact_memory', '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== 'open') throw error;
  }
}
