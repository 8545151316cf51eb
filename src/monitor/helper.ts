import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { threadId } from 'node:worker_threads';
import koffi from 'koffi';
import { regcacheError } from '../errors.js';
import { refuseOption, takeOptions } from '../options.js';
import { cacheFolder } from '../system/cache-folder.js';

/** The C code that some monitors need, as koffi has loaded it. */
export type Helper = ReturnType<typeof koffi.load>;

const SOURCES = fileURLToPath(new URL('../../../native/monitor/', import.meta.url));

const FLAGS = [
  ...['-std=gnu11', '-O2', '-Wall', '-Wextra', '-pthread', '-fPIC', '-fvisibility=hidden', '-shared'],
  // All symbols are looked up now, not in the middle of an event; and no thread may lose the code that it runs.
  '-Wl,-z,now,-z,nodelete',
];

const loaded = new Map<string, Helper>();

/**
 * Load the helper: the one that came with the package, or else one that was compiled before, or else a new one.
 * @param defines more flags for the compiler; tests lengthen moments with them
 * @throws ERR_NO_HELPER when it cannot be compiled, stored or loaded
 */
export function loadHelper(defines: readonly string[] = []): Helper {
  const key = defines.join(' ');
  let helper = loaded.get(key);
  if (helper === undefined) loaded.set(key, (helper = prebuilt(defines) ?? compiled(defines)));
  return helper;
}

export interface HelperOptions {
  /** @internal Another build of the C helper, for tests: one that {@link loadHelper} has loaded. */
  helper?: Helper;
}

/** The helper to use. @throws ERR_INVALID_OPTION, and what {@link loadHelper} throws */
export function helperOf(options: HelperOptions): Helper {
  const { helper } = takeOptions(options, ['helper']);
  if (helper === undefined) return loadHelper();
  // Its functions are called with whatever addresses it takes for its own.
  if (![...loaded.values()].includes(helper)) refuseOption('helper', 'is none that was loaded here');
  return helper;
}

function prebuilt(defines: readonly string[]): Helper | undefined {
  const path = join(SOURCES, 'prebuilt', `linux-${process.arch}.so`);
  return defines.length === 0 && existsSync(path) ? tryToLoad(path) : undefined;
}

/** Undefined where it is of no use: one for another libc, say, in a folder that machines share. */
function tryToLoad(path: string): Helper | undefined {
  try {
    return koffi.load(path);
  } catch {
    return undefined;
  }
}

/** The folders that a compiled helper may be kept in, each of which only this user can write to: code is loaded from it. */
const foldersForIt = (): string[] => [join(SOURCES, 'build'), cacheFolder()];

/**
 * Where a helper is, or could be kept once it is compiled; nothing when there is no such folder.
 * For who wants to know without compiling one.
 */
export function placeOfHelper(): string | undefined {
  const ready = [
    join(SOURCES, 'prebuilt', `linux-${process.arch}.so`),
    ...foldersForIt().map((folder) => join(folder, fileFor(sourceFiles(), FLAGS))),
  ];
  return ready.find((path) => existsSync(path)) ?? foldersForIt().find(canBeMade);
}

/** Whether this user can write to a folder, or make it. */
function canBeMade(folder: string): boolean {
  let at = folder;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  try {
    accessSync(at, constants.W_OK | constants.X_OK);
    return statSync(at).isDirectory();
  } catch {
    return false;
  }
}

const sourceFiles = (): string[] =>
  readdirSync(SOURCES).filter((name) => name.endsWith('.c') || name.endsWith('.h'));

function fileFor(sources: readonly string[], flags: readonly string[]): string {
  const hash = createHash('sha256').update(`${process.arch} ${flags.join(' ')}`);
  for (const name of sources) hash.update(`\n${name}\n`).update(readFileSync(join(SOURCES, name)));
  return `monitor-${hash.digest('hex').slice(0, 16)}.so`;
}

function compiled(defines: readonly string[]): Helper {
  const sources = sourceFiles();
  const flags = [...FLAGS, ...defines];
  const file = fileFor(sources, flags);
  const folders = foldersForIt();
  for (const folder of folders) {
    const path = join(folder, file);
    const helper = existsSync(path) ? tryToLoad(path) : undefined;
    if (helper !== undefined) return helper;
  }
  const units = sources.filter((name) => name.endsWith('.c')).map((name) => join(SOURCES, name));
  const path = store(folders, file, (into) => {
    compile([...flags, '-o', into, ...units, '-ldl']);
  });
  try {
    return koffi.load(path);
  } catch (cause) {
    throw regcacheError('ERR_NO_HELPER', `the C helper was compiled, but cannot be loaded: ${path}`, {
      path,
      cause,
    });
  }
}

/** Have a file made in the first folder that takes one; it appears there whole, whoever else makes it meanwhile. */
function store(folders: readonly string[], file: string, make: (path: string) => void): string {
  let refusal: unknown;
  for (const folder of folders) {
    const path = join(folder, file);
    const draft = `${path}.${process.pid}.${threadId}`;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      mkdirSync(draft);
    } catch (error) {
      refusal = error;
      continue;
    }
    try {
      make(join(draft, file));
      renameSync(join(draft, file), path);
      return path;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  throw regcacheError(
    'ERR_NO_HELPER',
    `there is no folder to keep the compiled C helper in: make one of ${folders.join(' and ')} writable, ` +
      'or set XDG_CACHE_HOME',
    { cause: refusal },
  );
}

function compile(args: readonly string[]): void {
  const [compiler = 'cc', ...first] = (process.env['CC'] || 'cc').split(' ');
  const { error, status, stderr } = spawnSync(compiler, [...first, ...args], { encoding: 'utf8' });
  if (error !== undefined) {
    throw regcacheError(
      'ERR_NO_HELPER',
      `this monitor needs a C helper, and there is no compiler '${compiler}' to make it with: install one ` +
        '(sudo apt-get install gcc libc6-dev) or name it in CC; ummunotify, and working without a cache, need none',
      { cause: error },
    );
  }
  if (status !== 0) {
    throw regcacheError(
      'ERR_NO_HELPER',
      `'${compiler}' could not compile the C helper (are libc6-dev and linux-libc-dev installed?):\n${stderr}`,
    );
  }
}
