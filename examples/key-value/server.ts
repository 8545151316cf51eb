import { Access, type Endpoint, listen } from 'rdma-regcache';
import { tell } from '../json-messages.js';
import { announce } from '../server-process.js';
import { ANSWER, decodePut } from './protocol.js';
import { fits, type Shape, Table } from './table.js';

/** Keep a table for clients. It hears of their puts alone: what they read, their devices get from its memory. */
export async function serve(port: number, shape: Shape): Promise<void> {
  const table = new Table(shape);
  // A put is longer than a slot by less than a slot's header.
  const listener = await listen({ port, receiveSize: shape.slotBytes, receiveBuffers: 4 });
  announce(listener);
  for await (const endpoint of listener) {
    // One that breaks is no reason to leave the others alone.
    takePuts(endpoint, table).catch((error: unknown) => {
      console.error(String(error));
    });
  }
}

async function takePuts(endpoint: Endpoint, table: Table): Promise<void> {
  await using connection = endpoint;
  const { slots, slotBytes } = table;
  // For reading only, and until the connection ends.
  const memory = connection.expose(table.memory, Access.REMOTE_READ);
  await tell(connection, { slots, slotBytes, memory });
  for await (const { data } of connection.messages()) {
    const { key, value } = decodePut(data);
    const done = fits(table, key, value);
    const immediate = !done ? ANSWER.tooLong : table.put(key, value) ? ANSWER.done : ANSWER.full;
    await connection.send(undefined, { immediate });
  }
}
