import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder, keepUsed, makeOnce } from './cache-folder.js';
import type { Kernel } from './kernel.js';
import { PROJECT } from './project.js';
import { step } from './step.js';
import { findTool, runTool } from './tool.js';

const SOURCES = join(PROJECT, 'native', 'ummunotify');

/**
 * Path of our driver built for a kernel; built in the cache, so that the working tree stays clean.
 * @param fault put back one of the original driver's faults, by its number, to see tests notice it
 */
export async function provideDriver(kernel: Kernel, fault?: number): Promise<string> {
  const sources = listSources(SOURCES);
  const hash = createHash('sha256');
  for (const name of sources)
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(SOURCES, name)))
      .update('\0');
  const variant = fault === undefined ? '' : `-fault${fault}`;
  const name = `${kernel.release}-${hash.digest('hex').slice(0, 16)}${variant}`;
  const folder = join(cacheFolder(), 'drivers', name);
  const driver = join(folder, 'ummunotify.ko');
  if (!existsSync(driver)) {
    await makeOnce(folder, (temporary) => build(kernel, sources, temporary, fault));
  }
  keepUsed(folder);
  return driver;
}

async function build(
  kernel: Kernel,
  sources: readonly string[],
  folder: string,
  fault: number | undefined,
): Promise<void> {
  const what = fault === undefined ? '' : `, with fault ${fault}`;
  await step(`Building the ummunotify driver for Linux ${kernel.release}${what}`, async () => {
    findTool('gcc-12');
    for (const name of sources) {
      const copy = join(folder, name);
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(join(SOURCES, name), copy);
    }
    await runTool(findTool('make'), [
      '-C',
      folder,
      `KDIR=${kernel.headers}`,
      ...(kernel.settings ?? []),
      ...(fault === undefined ? [] : [`FAULT=${fault}`]),
    ]);
  });
}

/** Paths of what the driver is built from, relative to its folder, sorted; what a build leaves there is left out. */
function listSources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)(Makefile|Kbuild)$|(?<!\.mod)\.[chS]$/.test(name))
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}
