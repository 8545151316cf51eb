import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Said of a folder where this is so. */
const IN_VM =
  process.env['RDMA_REGCACHE_VM'] === undefined
    ? ''
    : ' of the virtual machine, whose files end with it, but for those below test/results';

interface Folder extends Disposable {
  readonly path: string;
  /** What people are told of it. */
  readonly text: string;
}

/**
 * Where a server that is started for this puts the file.
 * @param path undefined for a temporary folder, which goes when it is disposed of
 */
export function folderFor(path: string | undefined): Folder {
  if (path !== undefined) {
    const there = resolve(path);
    return { path: there, text: `received in ${there}${IN_VM}`, [Symbol.dispose]: () => undefined };
  }
  const temporary = mkdtempSync(join(tmpdir(), 'received-'));
  return {
    path: temporary,
    text: 'received in a temporary folder, which is removed again; --folder names another',
    [Symbol.dispose]: () => {
      // The server may still be at it, if this end gave up.
      rmSync(temporary, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
