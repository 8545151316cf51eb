/** A thread of the pool: takes the next block of the shared memory that nobody has taken, and writes it to the server. */
import { parentPort, workerData } from 'node:worker_threads';
import { connect, type RemoteMemory } from 'rdma-regcache';

export interface WorkerData {
  host: string;
  port: number;
  /** Lies in a SharedArrayBuffer: the same bytes in all threads. */
  memory: Uint8Array<SharedArrayBuffer>;
  /** Where they go at the server. */
  remote: RemoteMemory;
  blockBytes: number;
  /** One number: the first block that nobody has taken. */
  next: Int32Array<SharedArrayBuffer>;
}

/** What a worker did since it was started. */
export interface Work {
  blocks: number;
  /** Of its own cache. */
  hits: number;
  misses: number;
}

/** Writes that a worker has under way at once. */
const UNDER_WAY = 4;

const { host, port, memory, remote, blockBytes, next } = workerData as WorkerData;
const pool = parentPort!;

// A thread's first connection opens the device and makes a cache, both for this thread alone. A thread that was
// terminated meanwhile would take the process with it: the pool waits for the message.
const endpoint = await connect({ host, port });
const work: Work = { blocks: 0, hits: 0, misses: 0 };
pool.postMessage('ready');

// The pool has one thing to say. What is thrown here reaches it as the worker's 'error'.
pool.on('message', () => void write());

async function write(): Promise<void> {
  await Promise.all(Array.from({ length: UNDER_WAY }, writeBlocks));
  const { hits, misses } = endpoint.cache.statistics();
  pool.postMessage({ ...work, hits, misses } satisfies Work);
}

async function writeBlocks(): Promise<void> {
  for (;;) {
    const offset = Atomics.add(next, 0, 1) * blockBytes;
    if (offset >= memory.length) return;
    // Registered where it is, once by each worker that ever takes this block.
    await endpoint.write(memory.subarray(offset, offset + blockBytes), remote, { offset });
    work.blocks++;
  }
}
