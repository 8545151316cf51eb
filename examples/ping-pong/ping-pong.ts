import { randomFillSync } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { allocatePageAligned, type Endpoint } from 'rdma-regcache';

/**
 * Send messages and wait for each to come back.
 * @returns microseconds that each round trip took, in order
 * @throws Error when something else comes back
 */
export async function pingPong(
  endpoint: Endpoint,
  bytes: number,
  roundTrips: number,
): Promise<Float64Array<ArrayBuffer>> {
  // One buffer for all: it is registered once, and then found in the cache.
  const ping = randomFillSync(allocatePageAligned(bytes));
  const microseconds = new Float64Array(roundTrips);
  for (let n = -Math.ceil(roundTrips / 10); n < roundTrips; n++) {
    ping[Math.abs(n) % bytes]++;
    const start = performance.now();
    // Wait for both: the message may be back before the device tells that it is done with the buffer.
    const [pong] = await Promise.all([endpoint.receive(), endpoint.send(ping)]);
    if (n >= 0) microseconds[n] = (performance.now() - start) * 1000;
    const same = pong.data.equals(ping);
    pong.release();
    if (!same) throw new Error(`a message of ${bytes} bytes did not come back as it was sent`);
  }
  return microseconds;
}

/** For an endpoint made with `polling`: take in what is done, as long as it is open. Other events get their turns. */
export async function keepPolling(endpoint: Endpoint): Promise<void> {
  while (!endpoint.closed) {
    endpoint.poll();
    await setImmediate();
  }
}
