import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join, relative } from 'node:path';
import { spawnSync } from 'node:child_process';
import { SetupError, step } from './step.mjs';

/** Compiles the TypeScript sources into dist/, unless nothing changed since the last time. */
export function build(project) {
  const { include } = JSON.parse(readFileSync(join(project, 'tsconfig.json'), 'utf8'));
  const sources = include.flatMap((folder) => list(join(project, folder), '.ts'));
  const stamp = join(project, 'dist', '.sources');
  const state = fingerprint(project, [
    ...sources,
    join(project, 'tsconfig.json'),
    join(project, 'package-lock.json'),
  ]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return;
  const status = step('Compiling the TypeScript sources (tsc)', () => {
    const tsc = join(project, 'node_modules', 'typescript', 'bin', 'tsc');
    const result = spawnSync(process.execPath, [tsc, '-p', project, '--pretty', 'false'], {
      encoding: 'utf8',
    });
    if (result.signal !== null) process.exit(130);
    // 2: type errors, JavaScript written all the same; someone in the middle of an edit still wants to run it.
    if (result.status === 2) process.stderr.write(`\n${result.stdout}`);
    else if (result.status !== 0) throw new SetupError(`the sources do not compile:\n${result.stdout}`);
    return result.status;
  });
  removeOrphans(project, include, new Set(sources));
  if (status === 0) writeFileSync(stamp, state);
}

/** Paths of the files below a folder that end so. */
function list(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

function fingerprint(project, files) {
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${relative(project, file)} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

/** A test whose source was removed or renamed would run on from dist/ for ever. */
function removeOrphans(project, folders, sources) {
  const dist = join(project, 'dist');
  for (const folder of folders) {
    for (const file of list(join(dist, folder), '.js')) {
      const stem = relative(dist, file).slice(0, -'.js'.length);
      if (sources.has(join(project, `${stem}.ts`))) continue;
      for (const ending of ['.js', '.js.map', '.d.ts']) rmSync(join(dist, stem + ending), { force: true });
    }
  }
}
