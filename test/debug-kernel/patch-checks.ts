import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { DebugKernel } from '../../native/debug-kernel/debug-kernel.js';
import { failed, passed, type Outcome } from '../runner/outcome.js';

/**
 * Types of complaint that are none in the selftests, which are user space: they read memory that the kernel changes,
 * and ENOSYS is what a system call says that is not there.
 */
const IGNORED = ['VOLATILE', 'ENOSYS', 'MACRO_ARG_REUSE'];

/** What the kernel's own checkpatch.pl thinks of the patch. */
export function checkPatch({ tree, patch }: DebugKernel): Promise<Outcome> {
  const name = 'kernel patch: checkpatch.pl --strict has no complaint';
  const argv = [
    join(tree, 'scripts/checkpatch.pl'),
    '--strict',
    '--quiet',
    '--show-types',
    `--ignore=${IGNORED.join(',')}`,
    patch,
  ];
  return new Promise((resolve) => {
    execFile('perl', argv, { cwd: tree, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) process.stdout.write(`${stdout}${stderr}`);
      resolve(error ? failed(name) : passed(name));
    });
  });
}
