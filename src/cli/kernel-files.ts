import { readFileSync } from 'node:fs';

/** What a file of /proc or /sys says, without white space around it; nothing where there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
