import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { readText } from '../kernel-files.js';
import { MODULE_SOURCES } from '../package.js';
import { findProgram, runProgram } from '../programs.js';

/** What identifies a build of the module. */
export interface ModuleBuild {
  readonly version: string | undefined;
  /** The kernel's checksum of the sources; the same sources have the same. */
  readonly srcversion: string | undefined;
}

/** What is known of the kernel module on this machine. */
export interface ModuleState {
  readonly kernel: string;
  /** The one in the kernel now. */
  readonly loaded: (ModuleBuild & { readonly parameters: Readonly<Record<string, number>> }) | null;
  /** The one that `modprobe` loads. */
  readonly installed: (ModuleBuild & { readonly path: string }) | null;
  /** The one that this package brings. */
  readonly sources: { readonly version: string; readonly folder: string };
}

const IN_KERNEL = '/sys/module/ummunotify';

export async function moduleState(kernel: string = release()): Promise<ModuleState> {
  return {
    kernel,
    loaded: existsSync(IN_KERNEL) ? loadedModule() : null,
    installed: await installedModule(kernel),
    sources: { version: sourceVersion(), folder: MODULE_SOURCES },
  };
}

function loadedModule(): NonNullable<ModuleState['loaded']> {
  const folder = join(IN_KERNEL, 'parameters');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return {
    version: readText(join(IN_KERNEL, 'version')),
    srcversion: readText(join(IN_KERNEL, 'srcversion')),
    parameters: Object.fromEntries(names.map((name) => [name, Number(readText(join(folder, name)))])),
  };
}

/** `MODULE_VERSION` of the sources in this package. */
function sourceVersion(): string {
  const main = readFileSync(join(MODULE_SOURCES, 'main.c'), 'utf8');
  return /^MODULE_VERSION\("(.*)"\)/m.exec(main)?.[1] ?? 'unknown';
}

/** As modules.dep has it, which is what `modprobe` goes by. */
async function installedModule(kernel: string): Promise<ModuleState['installed']> {
  const folder = `/lib/modules/${kernel}`;
  const path = /^(\S*\bummunotify\.ko\S*):/m.exec(readText(join(folder, 'modules.dep')) ?? '')?.[1];
  if (path === undefined) return null;
  const file = join(folder, path);
  const [version, srcversion] = await Promise.all([field(file, 'version'), field(file, 'srcversion')]);
  return { path: file, version, srcversion };
}

async function field(file: string, name: string): Promise<string | undefined> {
  const modinfo = findProgram('modinfo');
  if (modinfo === undefined) return undefined;
  const text = await runProgram(modinfo, ['-F', name, file]).catch(() => '');
  return text.trim() || undefined;
}
