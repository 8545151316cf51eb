import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder, keepUsed, makeOnce } from '../../native/vm/cache-folder.js';
import { npm } from './packed.js';

const run = promisify(execFile);

/** A Node of a major version: this one, or one that npm fetches once. @returns its path */
export async function provideNode(major: number): Promise<string> {
  if (Number.parseInt(process.versions.node, 10) === major) return process.execPath;
  const name = `node-linux-${process.arch}`;
  const folder = join(cacheFolder(), 'node', String(major));
  if (!existsSync(folder)) {
    await makeOnce(folder, async (temporary) => {
      mkdirSync(temporary, { recursive: true });
      const options = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--prefix', temporary];
      await run(...npm('install', ...options, `${name}@${major}`));
    });
  }
  keepUsed(folder);
  return join(folder, 'node_modules', name, 'bin', 'node');
}
