import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';

/** The C code beside this file, and what it is linked with. */
const LIBRARIES = {
  elsewhere: [],
  // libucm, which has the hooks, is found only by name: the linker must not leave it out.
  ucx: ['-Wl,--no-as-needed', '-lucs', '-lucm', '-libverbs'],
} as const;

const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-fPIC', '-shared', '-pthread'];

/** Path of a library, compiled if it is not there or out of date: better here than in an emulated machine. */
export function provideLibrary(name: keyof typeof LIBRARIES): string {
  const source = join(PROJECT, 'bench', 'coverage', `${name}.c`);
  const folder = join(PROJECT, 'dist', 'bench', 'coverage');
  const library = join(folder, `${name}.so`);
  if (existsSync(library) && statSync(library).mtimeMs > statSync(source).mtimeMs) return library;
  mkdirSync(folder, { recursive: true });
  execFileSync(compiler(), [...FLAGS, '-o', library, source, ...LIBRARIES[name]], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return library;
}

/** The one that the set-up installs where there is no other. */
function compiler(): string {
  const { CC } = process.env;
  if (CC) return CC;
  return spawnSync('cc', ['--version'], { stdio: 'ignore' }).error === undefined ? 'cc' : 'gcc-12';
}
