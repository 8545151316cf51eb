import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { VmError } from '../vm/errors.js';
import { PROJECT } from '../vm/project.js';
import { findTool, runTool } from '../vm/tool.js';
import type { KernelSource } from './source.js';

const CONFIG = join(PROJECT, 'native', 'debug-kernel', 'kernel.config');
const MAKE_PATCH = join(PROJECT, 'native', 'ummunotify', 'kernel-patch', 'make-patch.sh');
const SELFTESTS = 'tools/testing/selftests/ummunotify';

/** Runs make in the kernel tree, with as many jobs as there are processors and behind everything else. */
export async function makeTree({ tree }: KernelSource, ...args: string[]): Promise<void> {
  const jobs = `-j${availableParallelism()}`;
  await runTool('/usr/bin/nice', ['-n', '19', findTool('make'), '-s', jobs, ...args], tree);
}

/** Configures the tree with the options of kernel.config and what they need, all else off. */
export async function configure(source: KernelSource): Promise<void> {
  // Without these, allnoconfig also asks about what is otherwise always on.
  const base = '# CONFIG_EXPERT is not set\n# CONFIG_EMBEDDED is not set\n';
  const wanted = join(source.folder, 'wanted.config');
  writeFileSync(wanted, base + readFileSync(CONFIG, 'utf8'));
  await makeTree(source, `KCONFIG_ALLCONFIG=${wanted}`, 'allnoconfig');
  requireOptions(source, readFileSync(CONFIG, 'utf8'));
}

/** Switches one more option on. */
export async function enable(source: KernelSource, option: string): Promise<void> {
  await runTool(join(source.tree, 'scripts/config'), ['-e', option], source.tree);
  await makeTree(source, 'olddefconfig');
  requireOptions(source, `CONFIG_${option}=y`);
}

/** Kconfig drops silently what it does not know or what depends on something that is off. */
function requireOptions({ tree }: KernelSource, text: string): void {
  const config = new Set(readFileSync(join(tree, '.config'), 'utf8').split('\n'));
  const missing = text.split('\n').filter((line) => line.startsWith('CONFIG_') && !config.has(line));
  if (missing.length > 0) throw new VmError(`the kernel source has no use for ${missing.join(', ')}`);
}

function appliedPatch({ folder }: KernelSource): string {
  return join(folder, 'applied.patch');
}

/** Whether the tree holds the driver. */
export function isPatched(source: KernelSource): boolean {
  return existsSync(appliedPatch(source));
}

/** Path of the patch in the tree. */
export function patchFile(source: KernelSource): string {
  return appliedPatch(source);
}

/** Makes the tree what the distribution ships, built objects apart. */
export async function unpatch(source: KernelSource): Promise<void> {
  if (!isPatched(source)) return;
  await runTool(findTool('patch'), ['-R', '-p1', '-s', '-f', '-F0', '-i', appliedPatch(source)], source.tree);
  // What was built there.
  for (const folder of ['drivers/char/ummunotify', SELFTESTS])
    rmSync(join(source.tree, folder), { recursive: true, force: true });
  rmSync(appliedPatch(source));
}

/** Emits the patch for the pristine tree and applies it as anybody would. */
export async function patch(source: KernelSource): Promise<void> {
  const text = await runTool(MAKE_PATCH, [source.tree], PROJECT);
  // Before it is applied: an interrupted one is then known to be there.
  writeFileSync(appliedPatch(source), text);
  await runTool(findTool('patch'), ['-p1', '-s', '-f', '-F0', '-i', appliedPatch(source)], source.tree);
}

/** Copies the kernel that has just been built. */
export function keepImage({ tree }: KernelSource, image: string): void {
  copyFileSync(join(tree, 'arch/x86/boot/bzImage'), image);
}

/** Builds the selftests of the patched tree as the kernel does and copies the programs. */
export async function keepSelftests(source: KernelSource, folder: string): Promise<void> {
  await makeTree(source, 'headers');
  await makeTree(source, '-C', join(source.tree, 'tools/testing/selftests'), 'TARGETS=ummunotify');
  mkdirSync(folder, { recursive: true });
  const built = join(source.tree, SELFTESTS);
  for (const file of readdirSync(built).filter((name) => name.endsWith('.c'))) {
    const name = basename(file, '.c');
    copyFileSync(join(built, name), join(folder, name));
  }
}
