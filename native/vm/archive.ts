import { VmError } from './errors.js';
import { step } from './step.js';
import { findTool, runTool } from './tool.js';

/** A kernel release in the distribution's archive. */
export interface KernelPackages {
  readonly release: string;
  /** Names of the packages to download: image, headers, what the headers need, busybox for the guest. */
  readonly files: readonly string[];
}

/**
 * Finds the newest kernel of which the archive holds image and headers in the same version today.
 * @param rank a number that grows with the release, or undefined for a release of another series
 */
export async function findKernelPackages(
  rank: (release: string) => number | undefined,
): Promise<KernelPackages | undefined> {
  const listed = await findListed(rank);
  if (listed !== undefined) return listed;
  // The lists may be empty, or older than the kernel or the apt source that is asked for.
  await updateLists();
  return findListed(rank);
}

async function findListed(
  rank: (release: string) => number | undefined,
): Promise<KernelPackages | undefined> {
  const names = await packageNames();
  if (!names.has('busybox-static')) return undefined;
  const releases = [...names]
    .filter((name) => name.startsWith('linux-image-'))
    .map((name) => name.slice('linux-image-'.length))
    .filter((release) => rank(release) !== undefined && names.has(`linux-headers-${release}`))
    .sort((a, b) => rank(b)! - rank(a)!);
  for (const release of releases) {
    const files = await complete(release, names);
    if (files) return { release, files };
  }
  return undefined;
}

/** Downloads a package of the archive into a folder; works for any user. */
export async function downloadPackage(name: string, folder: string): Promise<void> {
  await runTool(findTool('apt-get'), ['-qq', 'download', name], folder);
}

async function packageNames(): Promise<Set<string>> {
  const names = await runTool(findTool('apt-cache'), ['pkgnames']);
  return new Set(names.toString().split('\n'));
}

async function updateLists(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new VmError('the package lists do not have this kernel; run: sudo apt-get update');
  await step('Fetching the package lists', () => runTool(findTool('apt-get'), ['-qq', 'update']));
}

interface Stanza {
  readonly version: string;
  readonly depends: readonly string[];
}

/** The packages of a release, if they are all there and image and headers are of one version. */
async function complete(release: string, names: Set<string>): Promise<string[] | undefined> {
  const image = await show(`linux-image-${release}`);
  const headers = await show(`linux-headers-${release}`);
  if (!image || image.version !== headers?.version) return undefined;
  const needed = headers.depends.filter((name) => /^linux-(headers|kbuild|compiler)-/.test(name));
  if (!needed.some((name) => name.endsWith('-common')) || !needed.every((name) => names.has(name)))
    return undefined;
  return [`linux-image-${release}`, `linux-headers-${release}`, ...needed, 'busybox-static'];
}

async function show(name: string): Promise<Stanza | undefined> {
  const text = (
    await runTool(findTool('apt-cache'), ['show', '--no-all-versions', name]).catch(() => '')
  ).toString();
  const version = /^Version: (.*)$/m.exec(text)?.[1];
  if (version === undefined) return undefined;
  const depends = /^Depends: (.*)$/m.exec(text)?.[1] ?? '';
  return { version, depends: depends.split(/[,|]/).map((part) => part.trim().replace(/[ (:].*$/, '')) };
}
