import { createHash, type Hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { provideDriver } from '../vm/driver.js';
import { VmError } from '../vm/errors.js';
import { provideInitramfs } from '../vm/initramfs.js';
import { DEFAULT_SERIES, provideKernel, type Kernel } from '../vm/kernel.js';
import { PROJECT } from '../vm/project.js';
import type { Machine } from '../vm/run-in-vm.js';
import { step } from '../vm/step.js';
import { findTool, runTool } from '../vm/tool.js';
import { exclusively } from './lock.js';
import { provideSource, type KernelSource } from './source.js';
import {
  configure,
  enable,
  isPatched,
  keepImage,
  keepSelftests,
  makeTree,
  patch,
  patchFile,
  unpatch,
} from './tree.js';

/** The debug kernel, ready to boot in two ways. */
export interface DebugKernel {
  /** The driver built in, from the patch. */
  readonly builtIn: Machine;
  /** The kernel as the distribution's source has it, and our module loaded. */
  readonly module: Machine;
  /** Path of the module. */
  readonly driver: string;
  /** Path of a static busybox, for what the host may not have installed. */
  readonly busybox: string;
  /** Folder of the programs that the patch adds to the kernel's selftests. */
  readonly selftests: string;
  readonly patch: string;
  /** The patched kernel tree. */
  readonly tree: string;
}

/** How it boots; emulated, on two idle processors, it takes 16 s. */
const BOOT = {
  /** Seconds. */
  bootLimit: 300,
  // With all its checks it would interpret the firmware's interrupt routing for two minutes.
  kernelArguments: ['acpi=noirq'],
};

/**
 * Builds what is not in the cache: the kernel without the driver when its source or its configuration is new, then,
 * with little left to do, the kernel with the driver.
 */
export async function provideDebugKernel(): Promise<DebugKernel> {
  const source = await provideSource();
  return exclusively(`${source.folder}.lock`, async () => {
    const plainKey = await fingerprint(source, []);
    const plain = join(source.folder, 'plain');
    const builtIn = join(source.folder, 'built-in');
    const builtInKey = await fingerprint(source, driverFiles());

    if (isPatched(source) && !(isCurrent(plain, plainKey) && isCurrent(builtIn, builtInKey)))
      await step('Taking the driver out of the kernel source', () => makePristine(source));
    if (!isCurrent(plain, plainKey)) {
      await step('Building the debug kernel (8 minutes on two processors)', async () => {
        await configure(source);
        await makeTree(source, 'bzImage', 'modules');
        keep(source, plain, plainKey);
      });
    }
    if (!isCurrent(builtIn, builtInKey)) {
      await step('Patching the driver into it', () => patch(source));
      await step('Building the debug kernel with the driver built in', async () => {
        await enable(source, 'UMMUNOTIFY');
        await makeTree(source, 'bzImage', 'modules');
        await keepSelftests(source, join(builtIn, 'selftests'));
        keep(source, builtIn, builtInKey);
      });
    }
    return describe(source, plain, plainKey, builtIn);
  });
}

async function describe(
  source: KernelSource,
  plain: string,
  plainKey: string,
  builtIn: string,
): Promise<DebugKernel> {
  const { root } = await provideKernel(DEFAULT_SERIES);
  const kernel: Kernel = {
    release: `${source.version}-debug-${plainKey}`,
    root,
    headers: source.tree,
    image: join(plain, 'image'),
    monolithic: true,
  };
  const driver = await provideDriver(kernel);
  return {
    builtIn: {
      image: join(builtIn, 'image'),
      initramfs: await provideInitramfs(kernel, undefined),
      ...BOOT,
    },
    module: {
      image: kernel.image,
      initramfs: await provideInitramfs(kernel, driver),
      ...BOOT,
    },
    driver,
    busybox: join(root, 'bin/busybox'),
    selftests: join(builtIn, 'selftests'),
    patch: patchFile(source),
    tree: source.tree,
  };
}

/** A tree that does not become pristine again was edited, or a run was killed in the middle of patching. */
async function makePristine(source: KernelSource): Promise<void> {
  try {
    await unpatch(source);
  } catch {
    await runTool('/bin/rm', ['-rf', source.folder]);
    throw new VmError('the kernel source in the cache was damaged and has been removed; run this again');
  }
}

function isCurrent(folder: string, key: string): boolean {
  const file = join(folder, 'key');
  return existsSync(file) && readFileSync(file, 'utf8') === key;
}

/** The key comes last: what an interrupted build leaves is built again. */
function keep(source: KernelSource, folder: string, key: string): void {
  mkdirSync(folder, { recursive: true });
  keepImage(source, join(folder, 'image'));
  writeFileSync(join(folder, 'key'), key);
}

/** What a kernel is built from, in 16 hexadecimal digits. */
async function fingerprint({ version }: KernelSource, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(version);
  hash.update(await runTool(findTool('gcc'), ['-dumpfullversion']));
  for (const file of [join('native', 'debug-kernel', 'kernel.config'), ...files]) addFile(hash, file);
  return hash.digest('hex').slice(0, 16);
}

function addFile(hash: Hash, file: string): void {
  const text = readFileSync(join(PROJECT, file), 'utf8');
  // A better comment is no reason to build for minutes.
  const content = file.endsWith('.config') ? text.replaceAll(/^#.*\n|^\n/gm, '') : text;
  hash.update(`${file}\0`).update(content).update('\0');
}

/** The patch is made from these; not from what a build or an editor leaves beside them. */
function driverFiles(): string[] {
  const folder = join('native', 'ummunotify');
  const made =
    /(^|\/)(Kbuild|Kconfig|Makefile|config|settings|message|maintainers)$|(?<!\.mod)\.(c|h|sh|awk|rst)$/;
  return readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => made.test(name))
    .sort()
    .map((name) => join(folder, name));
}
