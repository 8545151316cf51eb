import { mkdirSync, openSync, readFileSync, rmSync, writeSync, closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupError } from './step.mjs';

/** Runs `work` while no other set-up of the same clone runs; a lock of a process that is gone does not count. */
export function exclusively(file, work) {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!tryLock(file)) {
    if (isStale(file)) {
      rmSync(file, { force: true });
      continue;
    }
    if (!told) process.stderr.write('Waiting for another set-up of this clone ...\n');
    told = true;
    sleep(200);
  }
  const unlock = () => rmSync(file, { force: true });
  process.once('exit', unlock);
  try {
    return work();
  } finally {
    unlock();
    process.off('exit', unlock);
  }
}

function tryLock(file) {
  try {
    const fd = openSync(file, 'wx');
    writeSync(fd, String(process.pid));
    closeSync(fd);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    if (error.code === 'EACCES' || error.code === 'EROFS') {
      throw new SetupError(`${dirname(file)} is not writable: use a clone of your own`);
    }
    throw error;
  }
}

function isStale(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // Created and not yet written.
    if (pid === 0) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

function sleep(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
