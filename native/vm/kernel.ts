import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findKernelPackages, OWN_SOURCES } from './archive.js';
import { cacheFolder, makeOnce } from './cache-folder.js';
import { STATUS_USAGE, VmError } from './errors.js';
import { newerArchive } from './newer-archive.js';
import { IMAGE_FILES, unpackKernel } from './unpack-kernel.js';

/** The kernels the driver is supported on, by the name the user asks for, and how their releases are called. */
const SERIES = {
  '6.1': /^6\.1\.0-(\d+)-amd64$/,
  '6.12': /^6\.12\.(\d+)\+deb12-amd64$/,
  newest: /^(\d+)\.(\d+)\.(\d+)\+deb13-amd64$/,
} as const;
/** Of the distribution after this one: what its packages bring was compiled, and runs, with newer tools. */
const NEWER: Series = 'newest';

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
  /** What make has to be told to build a module with the compiler that there is. */
  readonly settings?: readonly string[];
}

/** gcc 12 has no -fmin-function-alignment, which the kernel's configuration says of its own compiler. */
const SETTINGS_FOR_OLDER_COMPILER = ['CC=gcc-12', 'CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT='];

/** Folder in the cache: those that were unpacked with less in them are no use. */
export const KERNELS = `kernels-${createHash('sha256').update(IMAGE_FILES.join('\0')).digest('hex').slice(0, 8)}`;

/** The series of that name, or an error that lists those there are. */
export function parseSeries(name: string): Series {
  if (Object.hasOwn(SERIES, name)) return name as Series;
  throw new VmError(
    `there is no kernel '${name}' to choose; it is one of ${Object.keys(SERIES).join(', ')}`,
    STATUS_USAGE,
  );
}

/** The unpacked kernel of a series: one that is in the cache, otherwise the newest that the archive holds. */
export async function provideKernel(series: Series): Promise<Kernel> {
  const kernels = join(cacheFolder(), KERNELS);
  const cached = newest(series, existsSync(kernels) ? readdirSync(kernels) : []);
  if (cached !== undefined) return describe(kernels, cached);
  const archive = series === NEWER ? newerArchive() : OWN_SOURCES;
  const packages = await findKernelPackages(archive, (release) => buildNumber(series, release));
  if (packages === undefined) {
    const advice =
      archive === OWN_SOURCES ? '; are bookworm and bookworm-security among the apt sources?' : '';
    throw new VmError(
      `the package archive holds no complete set of linux-image and linux-headers for ${series}${advice}`,
    );
  }
  await makeOnce(join(kernels, packages.release), (folder) => unpackKernel(archive, packages, folder));
  return describe(kernels, packages.release);
}

function describe(kernels: string, release: string): Kernel {
  const root = join(kernels, release);
  return {
    release,
    root,
    headers: join(root, 'usr/src', `linux-headers-${release}`),
    image: join(root, 'boot', 'image'),
    ...(SERIES[NEWER].test(release) && { settings: SETTINGS_FOR_OLDER_COMPILER }),
  };
}

/** A number that grows with the release, each part of it being less than 1,000. */
function buildNumber(series: Series, release: string): number | undefined {
  const parts = SERIES[series].exec(release)?.slice(1);
  return parts?.reduce((number, part) => number * 1000 + Number(part), 0);
}

function newest(series: Series, releases: string[]): string | undefined {
  return releases
    .filter((release) => buildNumber(series, release) !== undefined)
    .sort((a, b) => buildNumber(series, a)! - buildNumber(series, b)!)
    .at(-1);
}
