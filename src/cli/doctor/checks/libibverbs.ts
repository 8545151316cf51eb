import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { libibverbs } from '../../../verbs/library.js';
import type { Finding } from '../finding.js';

export function check(): Finding {
  // Throws, with the packages to install.
  libibverbs();
  const path = loadedFrom();
  // rdma-core numbers the library 1.ABI.RELEASE.PATCH.
  const release = /\.so\.1\.\d+\.(\d+(?:\.\d+)?)$/.exec(path ?? '')?.[1];
  const text = `loaded, of ${release === undefined ? 'unknown version' : `rdma-core ${release}`}`;
  return { status: 'ok', text, facts: { path, release } };
}

/** Real path of the library in this process. */
function loadedFrom(): string | undefined {
  const line = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .find((each) => basename(each).startsWith('libibverbs.so'));
  const path = line?.slice(line.indexOf('/'));
  return path === undefined ? undefined : realpathSync(path);
}
