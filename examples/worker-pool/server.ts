import { createHash } from 'node:crypto';
import { Access, allocatePageAligned, type Endpoint, listen, type RemoteMemory } from 'rdma-regcache';
import { tell } from '../json-messages.js';
import { serveClients } from '../server-process.js';

/** Memory to write into, or what is in it. */
export type Request = { allocate: number } | 'digest';
export type Answer = { memory: RemoteMemory } | { sha256: string };

/** Give memory to who asks, and say what is in it when asked. */
export async function serve(port: number): Promise<void> {
  await serveClients(await listen({ port }), answer);
}

async function answer(endpoint: Endpoint): Promise<void> {
  let memory: Buffer = Buffer.alloc(0);
  // From a worker nothing comes: it writes, and this thread hears nothing of that.
  for await (const { data } of endpoint.messages()) {
    const request = JSON.parse(data.toString()) as Request;
    if (request === 'digest') {
      await tell(endpoint, { sha256: createHash('sha256').update(memory).digest('hex') });
      continue;
    }
    memory = allocatePageAligned(request.allocate);
    // For the workers' connections, too: what a thread exposes can be reached by all its peers that know the rkey.
    const exposed = endpoint.expose(memory, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
    await tell(endpoint, { memory: exposed });
  }
}
