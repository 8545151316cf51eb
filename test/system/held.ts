import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Descriptors and mappings of this process of files whose name begins so. */
export function heldOf(path: string): { files: number; mappings: number } {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // That of the folder itself, say.
      return '';
    }
  });
  return {
    files: targets.filter((target) => target.startsWith(path)).length,
    mappings: readFileSync('/proc/self/maps', 'latin1').split(` ${path}`).length - 1,
  };
}
