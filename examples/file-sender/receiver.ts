import { type FileHandle, open, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Access, allocatePageAligned, type Endpoint, listen } from 'rdma-regcache';
import { hear, tell } from '../json-messages.js';
import { serveClients } from '../server-process.js';
import { digestOf, hashOf } from './checksum.js';
import {
  type Announcement,
  type End,
  type Failure,
  type Offer,
  PART_BYTES,
  PARTS,
  type Start,
  type Verdict,
} from './protocol.js';

/** What is at the end of the name of a file that has not come completely. */
const PARTIAL = '.part';

/** A file that is being received. */
interface Arrival {
  readonly endpoint: Endpoint;
  readonly over: Promise<void>;
}

export async function receiveFiles(port: number, folder: string): Promise<void> {
  const arrivals = new Map<string, Arrival>();
  await serveClients(await listen({ port }), (endpoint) => take(endpoint, folder, arrivals));
}

async function take(endpoint: Endpoint, folder: string, arrivals: Map<string, Arrival>): Promise<void> {
  const { name, bytes } = (await hear(endpoint)) as Announcement;
  if (name !== basename(name) || ['', '.', '..'].includes(name) || name.endsWith(PARTIAL)) {
    await fail(endpoint, `'${name}' is no name for a file here`);
    return;
  }
  // Who sends a file again has given up sending it before, though this end may not have noticed.
  const earlier = arrivals.get(name);
  earlier?.endpoint.destroy();
  const over = Promise.allSettled([earlier?.over])
    .then(() => receiveFile(endpoint, join(folder, name), bytes))
    .catch(async (error: unknown) => {
      const { message } = error as Error;
      // The sender may be what failed.
      await fail(endpoint, message).catch(() => undefined);
      throw new Error(`${name} is not complete: ${message}`, { cause: error });
    })
    .finally(() => {
      if (arrivals.get(name) === arrival) arrivals.delete(name);
    });
  const arrival = { endpoint, over };
  arrivals.set(name, arrival);
  await over;
}

async function fail(endpoint: Endpoint, error: string): Promise<void> {
  await tell(endpoint, { error } satisfies Failure);
}

async function receiveFile(endpoint: Endpoint, path: string, bytes: number): Promise<void> {
  /** Holds the beginning of the file, and nothing else, whenever this process ends. */
  const partial = path + PARTIAL;
  await using file = await open(partial, 'a');
  const there = (await file.stat()).size;
  let hash = await hashOf(partial, there);

  const memory = allocatePageAligned(PARTS * PART_BYTES);
  // Until the connection ends: a write that comes too late would break it before the sender hears why.
  const window = endpoint.expose(memory, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
  await tell(endpoint, { window, partial: { bytes: there, sha256: digestOf(hash) } } satisfies Offer);
  const { from } = (await hear(endpoint)) as Start;
  if (from !== 0 && from !== there) throw new Error(`${path} does not go on at ${from}, but at ${there}`);
  if (from === 0) {
    await file.truncate(0);
    hash = await hashOf(partial, 0);
  }

  for (let at = from; at < bytes;) {
    using message = await endpoint.receive();
    const start = (message.immediate ?? 0) * PART_BYTES;
    const chunk = memory.subarray(start, start + message.byteLength);
    await append(file, chunk);
    hash.update(chunk);
    at += chunk.length;
    // The part may be written to again.
    await endpoint.send(undefined);
  }

  const { sha256 } = (await hear(endpoint)) as End;
  if (digestOf(hash) !== sha256) {
    // Nothing to go on from.
    await file.truncate(0);
    throw new Error('what arrived is not what was sent (its SHA-256 differs)');
  }
  await file.sync();
  await rename(partial, path);
  await tell(endpoint, { sha256 } satisfies Verdict);
  console.log(`${path}: ${bytes} bytes`);
}

/** A write to a file may take less than it was given. */
async function append(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
}
