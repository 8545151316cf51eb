import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { listen } from 'rdma-regcache';
import { serveClients } from '../server-process.js';
import { EndpointStream } from './endpoint-stream.js';

/** Compress what comes, and send it back, for each client. */
export async function serve(port: number): Promise<void> {
  await serveClients(await listen({ port }), async (endpoint) => {
    // It goes on writing after it has read all.
    const stream = new EndpointStream(endpoint, { allowHalfOpen: true });
    await pipeline(stream, createGzip(), stream);
  });
}
