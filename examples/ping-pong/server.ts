import { type Endpoint, listen } from 'rdma-regcache';
import { serveClients } from '../server-process.js';
import { MOST_BYTES } from './options.js';
import { keepPolling } from './ping-pong.js';

/** Send back what comes, to each client. */
export async function serve(port: number, poll: boolean): Promise<void> {
  const listener = await listen({ port, polling: poll, receiveBuffers: 2, receiveSize: MOST_BYTES });
  await serveClients(listener, async (endpoint) => {
    if (poll) void keepPolling(endpoint);
    await sendBack(endpoint);
  });
}

async function sendBack(endpoint: Endpoint): Promise<void> {
  // From the buffer that the message came in: it is not used again before the next one is asked for.
  for await (const { data } of endpoint.messages()) await endpoint.send(data);
}
