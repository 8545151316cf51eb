import { arch, release } from 'node:os';
import type { Finding } from '../finding.js';

/** The oldest kernel that the module and the cache are tested on. */
const OLDEST = [6, 1] as const;

export function check(): Finding {
  const facts = { release: release(), arch: arch() };
  const [major = 0, minor = 0] = facts.release.split('.').map((part) => Number.parseInt(part, 10));
  const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  const text = `Linux ${facts.release} on ${facts.arch}`;
  if (!old) return { status: 'ok', text, facts };
  return {
    status: 'warning',
    text: `${text}; nothing older than ${OLDEST.join('.')} is tested`,
    mend: 'install a newer kernel',
    facts,
  };
}
