import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Archive, downloadPackage, type KernelPackages, OWN_SOURCES } from './archive.js';
import { unpackBootImage } from './boot-image.js';
import { LIBRARIES, runWithTheirLibc } from './newer-programs.js';
import { step } from './step.js';
import { findTool, runTool } from './tool.js';

// What the guest can use of the image package; the rest is drivers for hardware that it does not have.
export const IMAGE_FILES = [
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

/** Where the packages of libraries have them. */
const LIBRARY_FOLDER = 'usr/lib/x86_64-linux-gnu';

/** Downloads the packages of a kernel into a folder and unpacks there what of them is of use. */
export async function unpackKernel(
  archive: Archive,
  { release, files }: KernelPackages,
  folder: string,
): Promise<void> {
  const split = files.includes(`linux-modules-${release}`);
  const libraries = archive === OWN_SOURCES ? [] : LIBRARIES;
  await step(`Downloading Linux ${release} and its headers`, () =>
    Promise.all([...files, ...libraries].map((name) => downloadPackage(archive, name, folder))),
  );
  await step(`Unpacking Linux ${release}`, async () => {
    const wantedOf = split ? wantedOfParts(release) : wantedOfWhole(release);
    await Promise.all(
      readdirSync(folder)
        .filter((name) => name.endsWith('.deb'))
        .map(async (name) => {
          const file = join(folder, name);
          const wanted = wantedOf[name.slice(0, name.indexOf('_'))] ?? [];
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
    for (const part of ['bin', 'lib/modules']) takeOutOfUsr(folder, part);
    if (libraries.length > 0) {
      const tools = files.find((name) => name.startsWith('linux-kbuild-'))!;
      runWithTheirLibc(join(folder, 'usr/lib', tools), join(folder, LIBRARY_FOLDER));
    }
    const boot = join(folder, 'boot');
    mkdirSync(boot, { recursive: true });
    const packed = split ? join(folder, 'lib/modules', release, 'vmlinuz') : join(boot, `vmlinuz-${release}`);
    const image = join(boot, 'image');
    if (!(await unpackBootImage(packed, image))) renameSync(packed, image);
    makeRelocatable(join(folder, 'usr/src', `linux-headers-${release}`, 'Makefile'));
  });
}

/** Newer packages have all below /usr. */
function takeOutOfUsr(root: string, part: string): void {
  const [from, to] = [join(root, 'usr', part), join(root, part)];
  if (existsSync(to) || !existsSync(from)) return;
  mkdirSync(dirname(to), { recursive: true });
  renameSync(from, to);
}

/** The files that are wanted of packages of which not all are. */
type Wanted = Readonly<Record<string, readonly string[]>>;

const MODULE_LISTS = ['modules.order', 'modules.builtin'];
const MODULES = IMAGE_FILES.map((path) => `kernel/${path}`);

const wantedOfWhole = (release: string): Wanted => ({
  [`linux-image-${release}`]: [
    `./boot/vmlinuz-${release}`,
    ...[...MODULE_LISTS, ...MODULES].map((path) => `./lib/modules/${release}/${path}`),
  ],
});

function wantedOfParts(release: string): Wanted {
  const wanted = (paths: readonly string[]): string[] =>
    paths.map((path) => `./usr/lib/modules/${release}/${path}`);
  return {
    [`linux-base-${release}`]: wanted(MODULE_LISTS),
    [`linux-binary-${release}`]: wanted(['vmlinuz']),
    [`linux-modules-${release}`]: wanted(MODULES),
  };
}

/** The headers' Makefile includes the common one by the absolute path it would be installed to. */
function makeRelocatable(makefile: string): void {
  const here = '$(dir $(lastword $(MAKEFILE_LIST)))';
  const text = readFileSync(makefile, 'utf8')
    .replace(/^include \/usr\/src\//m, `include ${here}../`)
    .replace(/^KBUILD_OUTPUT=\/usr\/src\/.*$/m, `KBUILD_OUTPUT := $(abspath ${here})`);
  writeFileSync(makefile, text);
}
