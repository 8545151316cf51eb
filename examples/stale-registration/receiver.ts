/**
 * The receiving process: posts a receive, waits for the message, and reports what is in its memory then. It does not
 * know what it ought to be.
 */
import { createHash } from 'node:crypto';
import { addressOf, createCache, ReceiveRequests, type QueuePairEndpoint } from 'rdma-regcache';
import { openConnection } from './connection.js';

/** From the sender: its endpoint and the size of a message; then `'post'` before each message. */
export type ToReceiver =
  { connect: QueuePairEndpoint; messageBytes: number } | { post: true } | { end: true };

/** To the sender. */
export type FromReceiver =
  { endpoint: QueuePairEndpoint } | { connected: true } | { posted: true } | { arrived: Arrival };

/** What the receiver found in its memory. */
export interface Arrival {
  bytes: number;
  /** SHA-256 of all of it, in hex. */
  digest: string;
  /** The beginning of it, for people. */
  text: string;
}

const connection = openConnection();
const cache = createCache(connection.pd);
let memory = Buffer.alloc(0);

process.on('message', (message: ToReceiver) => {
  void handle(message);
});
say({ endpoint: connection.qp.local });

async function handle(message: ToReceiver): Promise<void> {
  if ('connect' in message) {
    connection.qp.connect(message.connect);
    memory = Buffer.alloc(message.messageBytes);
    say({ connected: true });
  } else if ('post' in message) {
    memory.fill(0);
    using registration = cache.acquire(memory);
    connection.qp.postReceive(
      new ReceiveRequests().receive(1, addressOf(memory), memory.length, registration.lkey),
    );
    say({ posted: true });
    const { byteLength } = await connection.completed();
    const received = memory.subarray(0, byteLength);
    say({
      arrived: {
        bytes: byteLength,
        digest: createHash('sha256').update(received).digest('hex'),
        text: received.toString('latin1', 0, 24),
      },
    });
  } else {
    cache.close();
    connection.close();
    process.disconnect();
  }
}

function say(message: FromReceiver): void {
  process.send!(message);
}
