import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The libraries that programs of a kernel's build system need. */
export const LIBRARIES = ['libc6', 'libelf1t64', 'zlib1g', 'libzstd1'];

const LOADER = 'ld-linux-x86-64.so.2';
const ELF = '\x7fELF';
/** A program that runs others of its name, by the processor that it builds for: the one that it runs for this one. */
const REAL = ['.real-x86', '.real-lsb-64'];

/**
 * Have the programs below a folder, which were built for a newer libc than this machine's, run with theirs.
 * @param libraries the folder with that libc; both folders may be moved together
 */
export function runWithTheirLibc(folder: string, libraries: string): void {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const programs = names.map((name) => join(folder, name)).filter(isProgram);
  for (const program of programs.filter((name) => !/\.real-[^/]+$/.test(name))) {
    const real = REAL.map((end) => program + end).find((path) => existsSync(path)) ?? program;
    renameSync(real, `${program}.elf`);
    const from = `"$(dirname "$0")/${relative(dirname(program), libraries)}`;
    writeFileSync(program, `#!/bin/sh\nexec ${from}/${LOADER}" --library-path ${from}" "$0.elf" "$@"\n`);
    chmodSync(program, 0o755);
  }
}

function isProgram(path: string): boolean {
  const status = lstatSync(path);
  if (!status.isFile() || (status.mode & 0o111) === 0) return false;
  const file = openSync(path, 'r');
  try {
    const start = Buffer.alloc(ELF.length);
    readSync(file, start);
    return start.toString('latin1') === ELF;
  } finally {
    closeSync(file);
  }
}
