import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { downloadPackage, findKernelPackages, type KernelPackages } from './archive.js';
import { unpackBootImage } from './boot-image.js';
import { cacheFolder, makeOnce } from './cache-folder.js';
import { STATUS_USAGE, VmError } from './errors.js';
import { step } from './step.js';
import { findTool, runTool } from './tool.js';

/** The kernels the driver is supported on, by the name the user asks for, and how their releases are called. */
const SERIES = {
  '6.1': /^6\.1\.0-(\d+)-amd64$/,
  '6.12': /^6\.12\.(\d+)\+deb\d+-amd64$/,
} as const;

export type Series = keyof typeof SERIES;

export const DEFAULT_SERIES: Series = '6.1';

/** A distribution kernel unpacked into the cache, never installed. */
export interface Kernel {
  /** What `uname -r` prints, e.g. `6.1.0-56-amd64`. */
  readonly release: string;
  /** Folder that stands for the `/` the packages would have been installed to. */
  readonly root: string;
  /** Folder to build modules against. */
  readonly headers: string;
  /** The bootable image. */
  readonly image: string;
  /** What the guest needs is built in: there are no modules to load but our driver. */
  readonly monolithic?: boolean;
}

// What the guest can use of the image package; the rest is drivers for hardware that it does not have.
const IMAGE_FILES = [
  'arch',
  'crypto',
  'fs',
  'lib',
  'net',
  'drivers/infiniband',
  'drivers/char',
  'drivers/virtio',
  'drivers/net/veth.ko*',
  'drivers/net/virtio_net.ko*',
  'drivers/net/net_failover.ko*',
  // Not loaded at boot: who wants a disk to swap to inserts it.
  'drivers/block/brd.ko*',
];

/** Folder in the cache: those that were unpacked with less in them are no use. */
export const KERNELS = `kernels-${createHash('sha256').update(IMAGE_FILES.join('\0')).digest('hex').slice(0, 8)}`;

/** The series of that name, or an error that lists those there are. */
export function parseSeries(name: string): Series {
  if (Object.hasOwn(SERIES, name)) return name as Series;
  throw new VmError(
    `there is no kernel '${name}' to choose; VM_KERNEL is one of ${Object.keys(SERIES).join(', ')}`,
    STATUS_USAGE,
  );
}

/** The unpacked kernel of a series: one that is in the cache, otherwise the newest that the archive holds. */
export async function provideKernel(series: Series): Promise<Kernel> {
  const kernels = join(cacheFolder(), KERNELS);
  const cached = newest(series, existsSync(kernels) ? readdirSync(kernels) : []);
  if (cached !== undefined) return describe(kernels, cached);
  const packages = await findKernelPackages((release) => buildNumber(series, release));
  if (packages === undefined) {
    throw new VmError(
      `the package archive holds no complete set of linux-image and linux-headers for ${series}; ` +
        'are bookworm and bookworm-security among the apt sources?',
    );
  }
  await makeOnce(join(kernels, packages.release), (folder) => unpackKernel(packages, folder));
  return describe(kernels, packages.release);
}

function describe(kernels: string, release: string): Kernel {
  const root = join(kernels, release);
  return {
    release,
    root,
    headers: join(root, 'usr/src', `linux-headers-${release}`),
    image: join(root, 'boot', 'image'),
  };
}

function buildNumber(series: Series, release: string): number | undefined {
  const number = SERIES[series].exec(release)?.[1];
  return number === undefined ? undefined : Number(number);
}

function newest(series: Series, releases: string[]): string | undefined {
  return releases
    .filter((release) => buildNumber(series, release) !== undefined)
    .sort((a, b) => buildNumber(series, a)! - buildNumber(series, b)!)
    .at(-1);
}

async function unpackKernel(packages: KernelPackages, folder: string): Promise<void> {
  const { release } = packages;
  await step(`Downloading Linux ${release} and its headers`, () =>
    Promise.all(packages.files.map((name) => downloadPackage(name, folder))),
  );
  await step(`Unpacking Linux ${release}`, async () => {
    const modules = `./lib/modules/${release}`;
    await Promise.all(
      readdirSync(folder)
        .filter((name) => name.endsWith('.deb'))
        .map(async (name) => {
          const file = join(folder, name);
          const wanted = name.startsWith('linux-image-')
            ? [
                `./boot/vmlinuz-${release}`,
                `${modules}/modules.order`,
                `${modules}/modules.builtin`,
                ...IMAGE_FILES.map((path) => `${modules}/kernel/${path}`),
              ]
            : [];
          const extract = `"$1" --fsys-tarfile "$2" | "$3" -x -C "$4" --no-same-owner --wildcards "\${@:5}"`;
          await runTool('/bin/bash', [
            '-o',
            'pipefail',
            '-c',
            extract,
            'unpack',
            findTool('dpkg-deb'),
            file,
            findTool('tar'),
            folder,
            ...wanted,
          ]);
          await runTool('/bin/rm', [file]);
        }),
    );
    const packed = join(folder, 'boot', `vmlinuz-${release}`);
    const image = join(folder, 'boot', 'image');
    if (!(await unpackBootImage(packed, image))) renameSync(packed, image);
    makeRelocatable(join(folder, 'usr/src', `linux-headers-${release}`, 'Makefile'));
  });
}

/** The headers' Makefile includes the common one by the absolute path it would be installed to. */
function makeRelocatable(makefile: string): void {
  const text = readFileSync(makefile, 'utf8');
  writeFileSync(
    makefile,
    text.replace(/^include \/usr\/src\//m, 'include $(dir $(lastword $(MAKEFILE_LIST)))../'),
  );
}
