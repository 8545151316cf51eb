import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { CliError } from './cli-error.js';

// Ordinary users have no sbin in PATH.
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin'];

/** Path of a program, if it is installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':').filter(Boolean), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Lines of its output that a program which failed is quoted with. */
const LINES_SHOWN = 30;

/**
 * Run a program to its end.
 * @returns what it wrote to stdout and stderr
 * @throws CliError with the end of that when it fails
 */
export function runProgram(program: string, args: readonly string[], cwd?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' };
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.on('error', ({ message }) => {
      reject(new CliError(`${program} cannot be run: ${message}`));
    });
    child.on('close', (status, signal) => {
      if (status === 0) resolve(output);
      else {
        const end = output.trim().split('\n').slice(-LINES_SHOWN).join('\n');
        reject(
          new CliError(
            `${[program, ...args].join(' ')} failed (${signal ?? `exit status ${status!}`}):\n${end}`,
          ),
        );
      }
    });
  });
}

/** Also where PATH does not lead to it. */
const isThere = (name: string): boolean =>
  findProgram(name) !== undefined || isExecutable(`/usr/bin/${name}`);

/** The command that installs packages of the distribution, as far as it is known. */
export function installCommand(packages: {
  readonly apt: readonly string[];
  readonly dnf: readonly string[];
}): string {
  if (isThere('apt-get')) return `sudo apt-get install ${packages.apt.join(' ')}`;
  if (isThere('dnf')) return `sudo dnf install ${packages.dnf.join(' ')}`;
  return `install what your distribution calls ${packages.apt.join(' ')} (Debian) or ${packages.dnf.join(' ')} (Fedora)`;
}
