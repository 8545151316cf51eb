import { statSync } from 'node:fs';

/** Permissions of a file as `ls -l` shows them, for a character device; nothing where there is no file. */
export function modeOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const letters = Array.from('rwxrwxrwx', (letter, index) =>
    (stats.mode >> (8 - index)) & 1 ? letter : '-',
  );
  return (stats.isCharacterDevice() ? 'c' : '?') + letters.join('');
}
