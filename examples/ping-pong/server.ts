import { type Endpoint, listen } from 'rdma-regcache';
import { announce } from '../server-process.js';
import { MOST_BYTES } from './options.js';
import { keepPolling } from './ping-pong.js';

/** Send back what comes, to each client. */
export async function serve(port: number, poll: boolean): Promise<void> {
  const listener = await listen({ port, polling: poll, receiveBuffers: 2, receiveSize: MOST_BYTES });
  announce(listener);
  for await (const endpoint of listener) {
    if (poll) void keepPolling(endpoint);
    // One that breaks is no reason to leave the others alone.
    sendBack(endpoint).catch((error: unknown) => {
      console.error(String(error));
    });
  }
}

async function sendBack(endpoint: Endpoint): Promise<void> {
  await using connection = endpoint;
  // From the buffer that the message came in: it is not used again before the next one is asked for.
  for await (const { data } of connection.messages()) await connection.send(data);
}
