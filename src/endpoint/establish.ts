import type { ConnectionId } from '../cm/connection-id.js';
import { regcacheError } from '../errors.js';
import { Endpoint } from './endpoint.js';
import { Link } from './link.js';
import type { CheckedOptions } from './options.js';
import { takeBack } from './take-back.js';

/**
 * An endpoint on an identifier that is bound to a device. Nothing is left when this throws, but for the identifier.
 * @param handshake asks the peer, or lets it in; the receives are posted then
 */
export async function establish(
  id: ConnectionId,
  options: CheckedOptions,
  handshake: (link: Link) => Promise<void>,
): Promise<Endpoint> {
  const { device } = id;
  if (device === undefined) throw regcacheError('ERR_NO_RDMA_DEVICE', 'no RDMA device has that address');
  const link = new Link(id, device, options);
  let endpoint: Endpoint;
  try {
    endpoint = new Endpoint(link);
  } catch (error) {
    takeBack([link]);
    await link.domain.release().catch(() => undefined);
    throw error;
  }
  try {
    endpoint.start();
    await handshake(link);
    return endpoint;
  } catch (error) {
    await endpoint.close().catch(() => undefined);
    throw error;
  }
}
