import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, keepUsed, makeOnce } from './cache-folder.js';
import { cpio, FILE, FOLDER, PROGRAM, type CpioEntry } from './cpio.js';
import type { Kernel } from './kernel.js';
import { collectModules } from './kernel-modules.js';
import { PROJECT } from './project.js';

const INIT = join(PROJECT, 'native', 'vm', 'init.sh');

/**
 * Path of the guest's first file system: busybox, the kernel modules in order, our driver last, the init script.
 * @param driver path of the module, or undefined for a kernel that has it built in
 */
export async function provideInitramfs(kernel: Kernel, driver: string | undefined): Promise<string> {
  const init = readFileSync(INIT);
  const ours = driver === undefined ? undefined : readFileSync(driver);
  const thisFile = readFileSync(new URL(import.meta.url));
  const modulesFile = readFileSync(new URL('./kernel-modules.js', import.meta.url));
  const hash = createHash('sha256');
  for (const part of [init, ours ?? 'built in', thisFile, modulesFile]) hash.update(part).update('\0');
  const folder = join(cacheFolder(), 'initramfs', `${kernel.release}-${hash.digest('hex').slice(0, 16)}`);
  const file = join(folder, 'initramfs.cpio');
  if (!existsSync(file)) {
    await makeOnce(folder, async (temporary) => {
      writeFileSync(join(temporary, 'initramfs.cpio'), cpio(await contents(kernel, init, ours)));
    });
  }
  keepUsed(folder);
  return file;
}

async function contents(kernel: Kernel, init: Buffer, driver: Buffer | undefined): Promise<CpioEntry[]> {
  const folders = ['bin', 'dev', 'modules', 'proc', 'sys'].map((path) => ({ path, mode: FOLDER }));
  const busybox = readFileSync(join(kernel.root, 'bin/busybox'));
  const modules = await collectModules(kernel);
  if (driver) modules.push({ name: 'ummunotify', content: driver });
  return [
    ...folders,
    { path: 'init', mode: PROGRAM, content: init },
    { path: 'bin/busybox', mode: PROGRAM, content: busybox },
    ...modules.map(({ name, content }, index) => ({
      path: `modules/${String(index).padStart(3, '0')}-${name}.ko`,
      mode: FILE,
      content,
    })),
  ];
}
