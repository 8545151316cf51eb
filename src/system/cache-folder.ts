import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where this user keeps what this package has compiled: below `$XDG_CACHE_HOME`, or else in `~/.cache`. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  // An empty one counts as none, and a relative one is invalid and to be ignored (XDG Base Directory Specification).
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'rdma-regcache');
}
