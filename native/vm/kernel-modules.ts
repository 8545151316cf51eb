import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { VmError } from './errors.js';
import type { Kernel } from './kernel.js';
import { runTool } from './tool.js';

/** One module file, ready to insert. */
export interface ModuleFile {
  readonly name: string;
  readonly content: Buffer;
}

/** Older rdma_rxe asks the crypto layer for "crc32" and names no module that brings it; newer kernels have it built in. */
const WANTED_IF_THERE = ['crc32_generic'];
const WANTED = [
  'virtio_pci',
  'virtio_console',
  '9pnet_virtio',
  '9p',
  'overlay',
  'ib_uverbs',
  'rdma_rxe',
  'rdma_ucm',
  'veth',
  'virtio_net',
];

/** The modules that the guest inserts, each after those it depends on. */
export async function collectModules(kernel: Kernel): Promise<ModuleFile[]> {
  if (kernel.monolithic) return [];
  const folder = join(kernel.root, 'lib/modules', kernel.release);
  const paths = new Map(listPaths(join(folder, 'modules.order')).map((path) => [moduleName(path), path]));
  const builtIn = new Set(listPaths(join(folder, 'modules.builtin')).map(moduleName));
  const collected = new Map<string, ModuleFile>();

  async function add(name: string): Promise<void> {
    if (builtIn.has(name) || collected.has(name)) return;
    const path = paths.get(name);
    if (path === undefined) throw new VmError(`Linux ${kernel.release} has no module ${name}`);
    const content = await readModule(kernel, join(folder, path));
    for (const dependency of dependencies(content)) await add(dependency);
    collected.set(name, { name, content });
  }
  for (const name of WANTED_IF_THERE) if (paths.has(name)) await add(name);
  for (const name of WANTED) await add(name);
  return [...collected.values()];
}

function listPaths(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').filter(Boolean);
}

function moduleName(path: string): string {
  return basename(path, '.ko').replaceAll('-', '_');
}

/** Newer kernels come with compressed modules; unpacking them in the emulated guest would cost seconds. */
async function readModule(kernel: Kernel, path: string): Promise<Buffer> {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return runTool(join(kernel.root, 'bin/busybox'), ['xz', '-dc', `${path}.xz`]);
  }
}

/** The `depends=` entry of the .modinfo section, which is a list of NUL-terminated strings. */
function dependencies(module: Buffer): string[] {
  const text = module.toString('latin1');
  const list = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  return list
    .split(',')
    .filter(Boolean)
    .map((name) => name.replaceAll('-', '_'));
}
