import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { MODULE_SOURCES } from '../package.js';
import { runProgram } from '../programs.js';
import type { Target } from './kernel-headers.js';

/** Folder that holds the module built for a kernel. */
function buildFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  // The XDG base directory specification: a relative path is invalid and to be ignored.
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'rdma-regcache', 'module');
}

/** Whether the build needs a file; what tests and builds leave beside the sources stays there. */
const isSource = (path: string): boolean =>
  !['selftest', 'kernel-patch'].includes(basename(path)) && !/(\.mod\.c|\.o|\.ko|\.cmd)$/.test(path);

/**
 * Build the module from the sources in this package, which may be where nobody can write.
 * @returns the folder it was built in, with ummunotify.ko
 */
export async function build({ kernel, headers, make }: Target): Promise<string> {
  const parent = buildFolder();
  mkdirSync(parent, { recursive: true });
  const folder = join(parent, kernel);
  // Moved to its place when done, so that two builds at a time do not meet in it.
  const temporary = mkdtempSync(join(parent, `.${kernel}-`));
  try {
    cpSync(MODULE_SOURCES, temporary, { recursive: true, filter: isSource });
    await runProgram(make, ['-C', temporary, `KDIR=${headers}`, 'modules']);
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return folder;
}
