import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { allocatePageAligned, type Endpoint, type RemoteMemory } from 'rdma-regcache';
import { tell } from '../json-messages.js';
import { digestOf, hashOf } from './checksum.js';
import { hearReceiver, lastFailure } from './hearing.js';
import {
  type Announcement,
  type End,
  type Offer,
  type Partial,
  PART_BYTES,
  PARTS,
  type Start,
  type Verdict,
} from './protocol.js';

export interface Sent {
  /** Bytes of the file. */
  bytes: number;
  /** Bytes that an earlier transfer had brought over. */
  alreadyThere: number;
  /** Bytes that this one did. */
  sent: number;
  /** Of the whole file, the same at both ends. */
  sha256: string;
}

/** @param progress told how many bytes are at the receiver, of how many */
export async function sendFile(
  endpoint: Endpoint,
  path: string,
  progress: (done: number, bytes: number) => void,
): Promise<Sent> {
  await using file = await open(path);
  const stat = await file.stat();
  if (!stat.isFile()) throw new Error(`${path} is not a file`);
  try {
    return await transfer(endpoint, path, file, stat.size, progress);
  } catch (error) {
    // The receiver says what has gone wrong there, and disconnects; of that, whatever is under way may hear first.
    throw (await lastFailure(endpoint)) ?? error;
  }
}

async function transfer(
  endpoint: Endpoint,
  path: string,
  file: FileHandle,
  bytes: number,
  progress: (done: number, bytes: number) => void,
): Promise<Sent> {
  await tell(endpoint, { name: basename(path), bytes } satisfies Announcement);
  const { partial, window } = (await hearReceiver(endpoint)) as Offer;
  const { hash, from } = await resume(path, bytes, partial);
  await tell(endpoint, { from } satisfies Start);
  const sent = await sendFrom(endpoint, file, { from, bytes, window, hash, progress });
  await tell(endpoint, { sha256: digestOf(hash) } satisfies End);
  const { sha256 } = (await hearReceiver(endpoint)) as Verdict;
  return { bytes, alreadyThere: from, sent, sha256 };
}

/** Where to go on: behind what the receiver has, if that is how this file begins. */
async function resume(path: string, bytes: number, partial: Partial): Promise<{ hash: Hash; from: number }> {
  if (partial.bytes <= bytes) {
    const hash = await hashOf(path, partial.bytes);
    if (digestOf(hash) === partial.sha256) return { hash, from: partial.bytes };
  }
  return { hash: createHash('sha256'), from: 0 };
}

interface Transfer {
  from: number;
  bytes: number;
  window: RemoteMemory;
  hash: Hash;
  progress: (done: number, bytes: number) => void;
}

/** @returns bytes sent */
async function sendFrom(
  endpoint: Endpoint,
  file: FileHandle,
  { from, bytes, window, hash, progress }: Transfer,
): Promise<number> {
  // Used again and again: each is registered once, and found in the cache from then on.
  const buffers = Array.from({ length: PARTS }, () => allocatePageAligned(PART_BYTES));
  const writes: Promise<number>[] = [];
  /** The receiver has taken one more part out of its memory. */
  const taken = async (): Promise<void> => {
    await hearReceiver(endpoint);
    done = Math.min(done + PART_BYTES, bytes);
    progress(done, bytes);
  };
  let done = from;
  let free = PARTS;
  progress(done, bytes);
  let at = from;
  for (let n = 0; at < bytes; n++) {
    const part = n % PARTS;
    if (free > 0) free--;
    else await taken();
    // The device is done with what was in the buffer, too.
    await writes[part];
    const { bytesRead } = await file.read(buffers[part], 0, Math.min(PART_BYTES, bytes - at), at);
    if (bytesRead === 0) throw new Error('the file became shorter while it was being sent');
    const chunk = buffers[part].subarray(0, bytesRead);
    hash.update(chunk);
    writes[part] = endpoint.write(chunk, window, { offset: part * PART_BYTES, immediate: part });
    // A failure is met where it is awaited: there, or at a receive, which fails with it.
    writes[part].catch(() => undefined);
    at += bytesRead;
  }
  while (free++ < PARTS) await taken();
  return at - from;
}
