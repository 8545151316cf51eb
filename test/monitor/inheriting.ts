/**
 * Closes a monitor while another process holds its userfaultfd open, as a forked one does, and then changes the memory
 * that was watched. Prints 'done'.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE } from '../../src/system/mapping.js';

const FILE = fileURLToPath(import.meta.url);

/** What it prints, unless it does not come to an end. */
export function runInheriting(): string {
  const options = { encoding: 'utf8', timeout: 90_000, killSignal: 'SIGKILL' } as const;
  const { stdout, stderr, error } = spawnSync(process.execPath, [FILE], options);
  return error === undefined ? (stdout + stderr).trim() : error.message;
}

const isUserfaultfd = (fd: string): boolean => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[userfaultfd]';
  } catch {
    return false;
  }
};

if (process.argv[1] === FILE) {
  const address = map(PAGE_SIZE);
  bytesAt(address, PAGE_SIZE).fill(1);
  const monitor = new UserfaultfdMonitor();
  monitor.watch(address, address + PAGE_SIZE, 1);
  const fd = Number(readdirSync('/proc/self/fd').find(isUserfaultfd));
  const child = spawn('sleep', ['120'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  await once(child, 'spawn');
  // Reported, and waited for, as before.
  madvise(address, PAGE_SIZE, MADV_DONTNEED);
  monitor.close();
  madvise(address, PAGE_SIZE, MADV_DONTNEED);
  child.kill();
  console.log('done');
}
