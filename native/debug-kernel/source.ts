import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { downloadPackage, OWN_SOURCES } from '../vm/archive.js';
import { cacheFolder, keepUsed, makeOnce } from '../vm/cache-folder.js';
import { VmError } from '../vm/errors.js';
import { step } from '../vm/step.js';
import { findTool, runTool } from '../vm/tool.js';

const PACKAGE = 'linux-source-6.1';

/** The distribution's kernel source, unpacked into the cache, and room for what is built from it. */
export interface KernelSource {
  /** The package's version, e.g. `6.1.192-2`. */
  readonly version: string;
  /** Holds everything that belongs to this version. */
  readonly folder: string;
  /** The kernel tree. */
  readonly tree: string;
}

/** The newest source in the cache, otherwise the one that the archive holds. */
export async function provideSource(): Promise<KernelSource> {
  const sources = join(cacheFolder(), 'debug-kernel');
  if (newest(sources) === undefined) {
    await makeOnce(join(sources, 'download'), async (folder) => {
      await step(`Downloading the source of Linux (${PACKAGE}, 140 MB)`, () =>
        downloadPackage(OWN_SOURCES, PACKAGE, folder),
      );
      const file = readdirSync(folder).find((name) => name.endsWith('.deb'));
      const version = file?.split('_')[1];
      if (file === undefined || version === undefined) throw new VmError(`apt-get gave no ${PACKAGE}`);
      await makeOnce(join(sources, version), (unpacked) => unpack(join(folder, file), unpacked));
    });
    await runTool('/bin/rm', ['-rf', join(sources, 'download')]);
  }
  const version = newest(sources)!;
  const folder = join(sources, version);
  keepUsed(folder);
  return { version, folder, tree: join(folder, 'tree') };
}

function newest(sources: string): string | undefined {
  const versions = existsSync(sources) ? readdirSync(sources) : [];
  const collator = new Intl.Collator('en', { numeric: true });
  return versions
    .filter((name) => /^\d/.test(name))
    .sort((a, b) => collator.compare(a, b))
    .at(-1);
}

async function unpack(deb: string, folder: string): Promise<void> {
  await step('Unpacking it', async () => {
    const script =
      `mkdir "$4/tree" && "$1" --fsys-tarfile "$3" | "$2" -xO --wildcards '*/${PACKAGE}.tar.xz' | ` +
      `"$2" -xJ -C "$4/tree" --strip-components=1 --no-same-owner`;
    const args = [
      '-o',
      'pipefail',
      '-c',
      script,
      'unpack',
      findTool('dpkg-deb'),
      findTool('tar'),
      deb,
      folder,
    ];
    await runTool('/bin/bash', args);
  });
}
