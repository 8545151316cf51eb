import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of this package; this file is dist/src/cli/package.js in it. */
export const PACKAGE = fileURLToPath(new URL('../../../', import.meta.url));

/** The program itself, as an argument of Node. */
export const PROGRAM = fileURLToPath(new URL('./main.js', import.meta.url));

/** Sources of the kernel module. */
export const MODULE_SOURCES = join(PACKAGE, 'native', 'ummunotify');

export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { version: string }).version;
}

/** A command line that runs this program as root, whatever PATH root has. */
export const asRoot = (...args: readonly string[]): string =>
  ['sudo', process.execPath, PROGRAM, ...args].join(' ');
