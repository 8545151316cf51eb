import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Archive } from './archive.js';
import { cacheFolder } from './cache-folder.js';

/** The distribution after the one that the project is developed on, with its backports: where the newest kernels are. */
const SUITES = ['trixie', 'trixie-backports'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * With lists of its own until the process ends: this machine's sources and packages stay as they are, and any user may.
 */
export function newerArchive(): Archive {
  const folder = join(cacheFolder(), `apt-${process.pid}`);
  process.on('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const sources = join(folder, 'sources.list');
  const status = join(folder, 'status');
  for (const part of ['lists/partial', 'archives/partial']) {
    mkdirSync(join(folder, part), { recursive: true });
  }
  const lines = SUITES.map(
    (suite) => `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`,
  );
  writeFileSync(sources, lines.join(''));
  // Nothing is installed, as far as this archive is concerned.
  writeFileSync(status, '');
  const settings = [
    `Dir::Etc::SourceList=${sources}`,
    'Dir::Etc::SourceParts=/dev/null',
    'Dir::Etc::Preferences=/dev/null',
    'Dir::Etc::PreferencesParts=/dev/null',
    'APT::Default-Release=',
    // What cannot be fetched is an error, not a warning.
    'APT::Update::Error-Mode=any',
    `Dir::State::Lists=${join(folder, 'lists')}`,
    `Dir::State::Status=${status}`,
    `Dir::Cache=${folder}`,
    'Acquire::Languages=none',
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}
