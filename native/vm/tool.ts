import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { VmError } from './errors.js';

/** Programs the virtual machine needs on the host, each with the Debian package that brings it. */
const PACKAGES = {
  'apt-cache': 'apt',
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  tar: 'tar',
  xz: 'xz-utils',
  make: 'make',
  'gcc-12': 'gcc-12',
  gcc: 'gcc',
  patch: 'patch',
  perl: 'perl',
  rdma: 'iproute2',
  setpriv: 'util-linux',
  'qemu-system-x86_64': 'qemu-system-x86',
} as const;

export type Tool = keyof typeof PACKAGES;

// Unprivileged users have no sbin in PATH, and a program there works for them all the same.
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin'];

/** Absolute path of a program, or an error that names the Debian package. */
export function findTool(tool: Tool): string {
  const folders = [...(process.env['PATH'] ?? '').split(':').filter(Boolean), ...SYSTEM_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, tool);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  const name = PACKAGES[tool];
  throw new VmError(
    `${tool} is missing; it is in the Debian package ${name} (sudo apt-get install -y --no-install-recommends ${name})`,
  );
}

/**
 * Runs a program to its end and returns what it wrote to stdout.
 * @throws VmError with the end of its output when it fails
 */
export function runTool(path: string, args: readonly string[], cwd?: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      encoding: 'buffer' as const,
      maxBuffer: 1 << 28,
      env: { ...process.env, LC_ALL: 'C' },
    };
    execFile(path, args, options, (error, stdout, stderr) => {
      if (!error) {
        resolve(stdout);
        return;
      }
      const output = (stderr.toString() + stdout.toString()).trim().split('\n').slice(-15).join('\n');
      reject(new VmError(`${path} ${args.slice(0, 3).join(' ')} failed:\n${output || error.message}`));
    });
  });
}
