import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';
import { step } from './step.mjs';

/** Installs the npm packages of package-lock.json, unless exactly those are installed. */
export function provideNpmPackages(project) {
  if (isInstalled(project)) return;
  step('Installing the npm packages (npm ci)', () => {
    // The npm that runs us, if one does, is the one the user chose.
    const npm = process.env.npm_execpath;
    const args = ['ci', '--no-audit', '--no-fund'];
    if (npm === undefined) run('npm', args, { cwd: project });
    else run(process.execPath, [npm, ...args], { cwd: project });
  });
}

/** npm keeps what it installed in node_modules/.package-lock.json and writes it last. */
function isInstalled(project) {
  const wanted = readLock(join(project, 'package-lock.json'));
  const installed = readLock(join(project, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '' || (optional && !(path in installed))) return true;
    return installed[path]?.version === version;
  });
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
