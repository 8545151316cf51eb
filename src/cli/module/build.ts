import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cacheFolder } from '../../system/cache-folder.js';
import { MODULE_SOURCES } from '../package.js';
import { runProgram } from '../programs.js';
import type { Target } from './kernel-headers.js';

/** Folder of all builds. */
const buildFolder = (): string => join(cacheFolder(), 'module');

/** What a build and `make install` read, relative to the sources' folder; tests and what they leave there stay out. */
function sourceFiles(): string[] {
  return readdirSync(MODULE_SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/^(selftest|kernel-patch)\//.test(name))
    .filter((name) => /(^|\/)(Makefile|Kbuild)$|\.rules$|(?<!\.mod)\.[ch]$/.test(name))
    .sort();
}

/** Differs between builds that differ: by the sources, and by what they are built for. */
function fingerprint({ headers }: Target, sources: readonly string[]): string {
  const hash = createHash('sha256');
  const add = (path: string): void => void hash.update(`${path}\0`).update(readFileSync(path)).update('\0');
  for (const name of sources) add(join(MODULE_SOURCES, name));
  for (const path of ['.config', 'Module.symvers'].map((name) => join(headers, name))) {
    if (existsSync(path)) add(path);
  }
  return hash.digest('hex').slice(0, 16);
}

/** Written into a build's folder last. */
const FINISHED = '.finished';

function finishedBuild(prefix: string): string | undefined {
  const parent = dirname(prefix);
  if (!existsSync(parent)) return undefined;
  return readdirSync(parent)
    .filter((name) => name.startsWith(`${basename(prefix)}-`))
    .map((name) => join(parent, name))
    .find((folder) => existsSync(join(folder, FINISHED)));
}

/**
 * Build the module from the sources in this package, which may be where nobody can write; not again what is built.
 * @returns the folder it was built in, with ummunotify.ko
 */
export async function build(target: Target, tell: (step: string) => void): Promise<string> {
  const sources = sourceFiles();
  const prefix = join(buildFolder(), `${target.kernel}-${fingerprint(target, sources)}`);
  const finished = finishedBuild(prefix);
  if (finished !== undefined) return finished;
  tell(`Building ummunotify for Linux ${target.kernel}`);
  mkdirSync(dirname(prefix), { recursive: true });
  // One of its own, where it stays: two builds at a time must not meet, and what is built names its folder.
  const folder = mkdtempSync(`${prefix}-`);
  try {
    for (const name of sources) cpSync(join(MODULE_SOURCES, name), join(folder, name));
    await runProgram(target.make, ['-C', folder, `KDIR=${target.headers}`, 'modules']);
    writeFileSync(join(folder, FINISHED), '');
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return folder;
}
