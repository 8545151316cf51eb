/**
 * Forks while memory is watched, closes the monitor while the child, which has its descriptors, lives on, and changes
 * the memory. Prints 'done'.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE } from '../../src/system/mapping.js';

const FILE = fileURLToPath(import.meta.url);

/** What it prints, unless it does not come to an end. */
export function runForking(): string {
  const { stdout, stderr, error } = spawnSync(process.execPath, [FILE], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return error === undefined ? (stdout + stderr).trim() : error.message;
}

if (process.argv[1] === FILE) {
  const libc = koffi.load(null);
  const fork = libc.func('int fork()') as () => number;
  const pause = libc.func('int pause()') as () => number;
  const address = map(PAGE_SIZE);
  bytesAt(address, PAGE_SIZE).fill(1);
  const monitor = new UserfaultfdMonitor();
  monitor.watch(address, address + PAGE_SIZE, 1);
  const child = fork();
  // Of all threads only this one is there.
  if (child === 0) pause();
  // Reported and waited for as before.
  madvise(address, PAGE_SIZE, MADV_DONTNEED);
  monitor.close();
  madvise(address, PAGE_SIZE, MADV_DONTNEED);
  process.kill(child, 'SIGKILL');
  console.log('done');
}
