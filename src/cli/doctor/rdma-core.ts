import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import type { Finding } from './finding.js';

/**
 * A library of rdma-core that this process has loaded.
 * @param name e.g. `'libibverbs'`
 */
export function describeLoaded(name: string): Finding {
  const path = loadedFrom(name);
  // rdma-core numbers its libraries 1.ABI.RELEASE.PATCH.
  const release = /\.so\.1\.\d+\.(\d+(?:\.\d+)?)$/.exec(path ?? '')?.[1];
  const text = `loaded, of ${release === undefined ? 'unknown version' : `rdma-core ${release}`}`;
  return { status: 'ok', text, facts: { path, release } };
}

/** Real path of the library in this process. */
function loadedFrom(name: string): string | undefined {
  const line = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .find((each) => basename(each).startsWith(`${name}.so`));
  const path = line?.slice(line.indexOf('/'));
  return path === undefined ? undefined : realpathSync(path);
}
