import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { listen } from 'rdma-regcache';
import { announce } from '../server-process.js';
import { EndpointStream } from './endpoint-stream.js';

/** Compress what comes, and send it back, for each client. */
export async function serve(port: number): Promise<void> {
  const listener = await listen({ port });
  announce(listener);
  for await (const endpoint of listener) {
    // It goes on writing after it has read all.
    const stream = new EndpointStream(endpoint, { allowHalfOpen: true });
    // One that breaks is no reason to leave the others alone.
    pipeline(stream, createGzip(), stream).catch((error: unknown) => {
      console.error(String(error));
    });
  }
}
