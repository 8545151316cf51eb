import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** The SHA-256 of the first bytes of a file, to which more can be added. */
export async function hashOf(path: string, bytes: number): Promise<Hash> {
  const hash = createHash('sha256');
  if (bytes === 0) return hash;
  for await (const chunk of createReadStream(path, { end: bytes - 1 })) hash.update(chunk as Buffer);
  return hash;
}

/** What it is up to now, in hexadecimal. */
export function digestOf(hash: Hash): string {
  return hash.copy().digest('hex');
}
