import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';

/** A command line of the npm that runs us, if one does. */
export function npm(...args: readonly string[]): [program: string, args: string[]] {
  const path = process.env['npm_execpath'];
  return path === undefined ? ['npm', [...args]] : [process.execPath, [path, ...args]];
}

let folder: string | undefined;

/** The tarball of this package, packed once for all tests, of what is built. @returns its path */
export function tarball(): string {
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'regcache-packed-'));
    execFileSync(...npm('pack', '--silent', '--ignore-scripts', '--pack-destination', folder), {
      cwd: PROJECT,
    });
  }
  const packed = readdirSync(folder);
  if (packed.length !== 1) throw new Error(`npm pack made ${packed.join(', ') || 'nothing'}`);
  return join(folder, packed[0]);
}

after('remove the tarball', () => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
  folder = undefined;
});

/** Unpacks the tarball. @returns the package's folder */
export function unpackInto(parent: string): string {
  execFileSync('tar', ['-xzf', tarball(), '-C', parent]);
  return join(parent, 'package');
}

/** Paths of all files below a folder, relative to it, in order. */
export function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}
