import { VmError } from './errors.js';
import { step } from './step.js';
import { findTool, runTool } from './tool.js';

/**
 * Where packages come from: options of apt. None for what this machine's own sources list.
 */
export type Archive = readonly string[];

export const OWN_SOURCES: Archive = [];

/** A kernel release in the distribution's archive. */
export interface KernelPackages {
  readonly release: string;
  /** Names of the packages to download: image and its parts, headers and what they need, busybox for the guest. */
  readonly files: readonly string[];
}

/**
 * Finds the newest kernel of which the archive holds image and headers in the same version today.
 * @param rank a number that grows with the release, or undefined for a release of another series
 */
export async function findKernelPackages(
  archive: Archive,
  rank: (release: string) => number | undefined,
): Promise<KernelPackages | undefined> {
  const listed = await findListed(archive, rank);
  if (listed !== undefined) return listed;
  // The lists may be empty, or older than the kernel or the apt source that is asked for.
  await updateLists(archive);
  return findListed(archive, rank);
}

async function findListed(
  archive: Archive,
  rank: (release: string) => number | undefined,
): Promise<KernelPackages | undefined> {
  const names = await packageNames(archive);
  if (!names.has('busybox-static')) return undefined;
  const releases = [...names]
    .filter((name) => name.startsWith('linux-image-'))
    .map((name) => name.slice('linux-image-'.length))
    .filter((release) => rank(release) !== undefined && names.has(`linux-headers-${release}`))
    .sort((a, b) => rank(b)! - rank(a)!);
  for (const release of releases) {
    const files = await complete(archive, release, names);
    if (files) return { release, files };
  }
  return undefined;
}

/** Downloads a package of the archive into a folder; works for any user. */
export async function downloadPackage(archive: Archive, name: string, folder: string): Promise<void> {
  await runTool(findTool('apt-get'), ['-qq', ...archive, 'download', name], folder);
}

async function packageNames(archive: Archive): Promise<Set<string>> {
  const names = await runTool(findTool('apt-cache'), [...archive, 'pkgnames']);
  return new Set(names.toString().split('\n'));
}

async function updateLists(archive: Archive): Promise<void> {
  if (archive === OWN_SOURCES && process.getuid?.() !== 0)
    throw new VmError('the package lists do not have this kernel; run: sudo apt-get update');
  await step('Fetching the package lists', () => runTool(findTool('apt-get'), ['-qq', ...archive, 'update']));
}

interface Stanza {
  readonly version: string;
  readonly depends: readonly string[];
}

/** The packages of a release, if they are all there and image and headers are of one version. */
async function complete(
  archive: Archive,
  release: string,
  names: Set<string>,
): Promise<string[] | undefined> {
  const image = await show(archive, `linux-image-${release}`);
  const headers = await show(archive, `linux-headers-${release}`);
  if (!image || image.version !== headers?.version) return undefined;
  const needed = headers.depends.filter((name) => /^linux-(headers|kbuild|compiler)-/.test(name));
  if (!needed.some((name) => name.endsWith('-common')) || !needed.every((name) => names.has(name)))
    return undefined;
  // From Linux 7 on (Debian) the image is in packages of its own, whose names end as its does.
  const parts = image.depends.filter((name) => name.endsWith(`-${release}`));
  return [`linux-image-${release}`, ...parts, `linux-headers-${release}`, ...needed, 'busybox-static'];
}

async function show(archive: Archive, name: string): Promise<Stanza | undefined> {
  const text = (
    await runTool(findTool('apt-cache'), [...archive, 'show', '--no-all-versions', name]).catch(() => '')
  ).toString();
  const version = /^Version: (.*)$/m.exec(text)?.[1];
  if (version === undefined) return undefined;
  const depends = /^Depends: (.*)$/m.exec(text)?.[1] ?? '';
  return { version, depends: depends.split(/[,|]/).map((part) => part.trim().replace(/[ (:].*$/, '')) };
}
