import type { Endpoint } from 'rdma-regcache';
import type { Failure } from './protocol.js';

class ReceiverFailed extends Error {
  constructor({ error }: Failure) {
    super(`the receiver says: ${error}`);
  }
}

/**
 * What the receiver says next; nothing when that is an empty message.
 * @throws Error when it says that it has failed
 */
export async function hearReceiver(endpoint: Endpoint): Promise<unknown> {
  using message = await endpoint.receive();
  if (message.byteLength === 0) return undefined;
  const said = JSON.parse(message.data.toString()) as object;
  if ('error' in said) throw new ReceiverFailed(said as Failure);
  return said;
}

/** The failure that the receiver told of before the connection ended, if nobody has heard it yet. */
export async function lastFailure(endpoint: Endpoint): Promise<Error | undefined> {
  if (!endpoint.closed) return undefined;
  try {
    for (;;) await hearReceiver(endpoint);
  } catch (error) {
    return error instanceof ReceiverFailed ? error : undefined;
  }
}
