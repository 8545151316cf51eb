import { aborted } from '../cache/aborted.js';
import { resolveHost } from '../cm/address.js';
import { ConnectionId } from '../cm/connection-id.js';
import type { Endpoint } from './endpoint.js';
import { establish } from './establish.js';
import { type ConnectToOptions, takeConnectOptions } from './options.js';

/**
 * Connect to a listener, over the RDMA device that has the way to its address.
 * @throws ERR_INVALID_OPTION, ERR_NO_LIBRDMACM, ERR_NO_RDMA_DEVICE, ERR_RDMA_ACCESS; ECONNREFUSED when nobody listens,
 * ETIMEDOUT, ENODEV or EADDRNOTAVAIL when no device has a way; the reason of the signal
 */
export async function connect(options: ConnectToOptions): Promise<Endpoint> {
  const { host, port, signal, endpoint } = takeConnectOptions(options);
  const address = await aborted(resolveHost(host, port), signal);
  const id = ConnectionId.create();
  const abort = (): void => {
    id.interrupt(signal!.reason as Error);
  };
  signal?.addEventListener('abort', abort);
  try {
    // One that was aborted before tells nobody any more.
    signal?.throwIfAborted();
    await id.resolve(address);
    return await establish(id, endpoint, async (link) => {
      await link.connect();
      signal?.throwIfAborted();
    });
  } catch (error) {
    id.close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
