// The other side of a connection, in a process or a machine of its own: tells each peer of memory that it may read and
// write, then sends back what it gets. Says on stdout on which port. Usage: peer.js [PORT]
import { allocatePageAligned } from '../../src/memory/allocate.js';
import type { Endpoint } from '../../src/endpoint/endpoint.js';
import { listen } from '../../src/endpoint/listener.js';
import { contentOf, EXPOSED_BYTES } from './fixture.js';

async function serve(endpoint: Endpoint): Promise<void> {
  const memory = allocatePageAligned(EXPOSED_BYTES);
  contentOf(EXPOSED_BYTES).copy(memory);
  using exposed = endpoint.expose(memory);
  await endpoint.send(Buffer.from(JSON.stringify(exposed)));
  for await (const { data, immediate } of endpoint.messages())
    await endpoint.send(data, immediate === undefined ? {} : { immediate });
}

const listener = await listen({ port: Number(process.argv[2] ?? 0) });
process.stdout.write(`listening ${listener.port}\n`);
for await (const endpoint of listener)
  // One that breaks is no reason to leave the others alone.
  void serve(endpoint).catch(() => undefined);
