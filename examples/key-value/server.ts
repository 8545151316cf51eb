import { Access, type Endpoint, listen } from 'rdma-regcache';
import { tell } from '../json-messages.js';
import { serveClients } from '../server-process.js';
import { ANSWER, decodePut } from './protocol.js';
import { fits, type Shape, Table } from './table.js';

/** Keep a table for clients. It hears of their puts alone: what they read, their devices get from its memory. */
export async function serve(port: number, shape: Shape): Promise<void> {
  const table = new Table(shape);
  // A put of what fits into a slot is shorter than the slot: it has no checksum, for one.
  const listener = await listen({ port, receiveSize: shape.slotBytes, receiveBuffers: 4 });
  await serveClients(listener, (endpoint) => takePuts(endpoint, table));
}

async function takePuts(endpoint: Endpoint, table: Table): Promise<void> {
  const { slots, slotBytes } = table;
  // For reading only, and until the connection ends.
  const memory = endpoint.expose(table.memory, Access.REMOTE_READ);
  await tell(endpoint, { slots, slotBytes, memory });
  for await (const { data } of endpoint.messages()) {
    const { key, value } = decodePut(data);
    const done = fits(table, key, value);
    const immediate = !done ? ANSWER.tooLong : table.put(key, value) ? ANSWER.done : ANSWER.full;
    await endpoint.send(undefined, { immediate });
  }
}
