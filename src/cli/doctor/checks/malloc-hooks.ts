import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../../../monitor/malloc-hooks.js';
import { installCommand } from '../../programs.js';
import type { Finding } from '../finding.js';

const LIBRARY = 'libucm.so.0';
const TRIPLET = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const FOLDERS = [
  `/usr/lib/${TRIPLET}`,
  `/lib/${TRIPLET}`,
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
  '/opt/ucx/lib',
];

/** Whether UCX's hooks are there. Not loaded: they could never be unloaded. */
export function check(): Finding {
  const path = FOLDERS.map((folder) => join(folder, LIBRARY)).find((file) => existsSync(file)) ?? null;
  const facts = { path, limits: LIMITS };
  if (path !== null)
    return {
      status: 'ok',
      text: `${path}; taken only when asked for by name, as it cannot see every change:`,
      more: LIMITS,
      facts,
    };
  return {
    status: 'ok',
    text: 'libucm is not installed; only the malloc-hooks monitor needs it',
    mend: installCommand({ apt: ['libucx0'], dnf: ['ucx'] }),
    facts,
  };
}
