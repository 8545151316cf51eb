import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** What is kept between runs, shared by all clones of this user: kernels, drivers built for them, what KVM can do. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  // The XDG base directory specification: a relative path is invalid and to be ignored.
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'rdma-regcache');
}

const unfinished = new Set<string>();

process.on('exit', () => {
  for (const folder of unfinished) rmSync(folder, { recursive: true, force: true });
});

/**
 * Makes `folder` by filling a temporary one beside it and renaming, so that others see it whole or not at all. When
 * another process is done first, its result stays and ours is dropped.
 */
export async function makeOnce(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const parent = dirname(folder);
  mkdirSync(parent, { recursive: true });
  removeLeftovers(parent);
  const temporary = mkdtempSync(join(parent, `.${process.pid}-`));
  unfinished.add(temporary);
  try {
    await fill(temporary);
    try {
      renameSync(temporary, folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    unfinished.delete(temporary);
  }
}

/** A process that was killed with SIGKILL could not remove its temporary folder. */
function removeLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = /^\.(\d+)-/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const KEEP_UNUSED_MS = 3 * 24 * 3600 * 1000;

/** Marks a folder in the cache as used now, and removes its siblings that nobody used for three days. */
export function keepUsed(folder: string): void {
  const now = new Date();
  utimesSync(folder, now, now);
  const parent = dirname(folder);
  for (const name of readdirSync(parent)) {
    const sibling = join(parent, name);
    const age = now.getTime() - (statSync(sibling, { throwIfNoEntry: false })?.mtimeMs ?? now.getTime());
    if (age > KEEP_UNUSED_MS) rmSync(sibling, { recursive: true, force: true });
  }
}
