import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the project's folder; this file runs as `dist/native/vm/project.js`. */
export const PROJECT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
