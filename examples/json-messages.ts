import type { Endpoint } from 'rdma-regcache';

/** Send a value as a message of JSON. */
export async function tell(endpoint: Endpoint, value: unknown): Promise<void> {
  await endpoint.send(Buffer.from(JSON.stringify(value)));
}

/** The value that the next message holds. */
export async function hear(endpoint: Endpoint): Promise<unknown> {
  using message = await endpoint.receive();
  return JSON.parse(message.data.toString());
}
