import type { QueuePairEndpoint } from '../../src/verbs/queue-pair-endpoint.js';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';
import { PAGE_SIZE, Side } from './verbs-fixture.js';

/** The other process of the two-process test: offers memory, then answers one message at a time over IPC. */
export type ToPeer = { connect: QueuePairEndpoint } | { report: true } | { send: string };
export interface FromPeer {
  endpoint?: QueuePairEndpoint;
  address?: number;
  length?: number;
  rkey?: number;
  connected?: true;
  /** What the memory holds. */
  memory?: string;
  /** Bytes of the message received. */
  received?: number;
}

function main(): void {
  const tell = (message: FromPeer): void => {
    process.send!(message);
  };
  const side = new Side();
  const length = 4 * PAGE_SIZE;
  const memory = side.memory(length);
  memory.bytes.fill('peer ');
  const outgoing = side.memory(PAGE_SIZE);
  const { lkey } = memory.region;
  side.qp.postReceive(new ReceiveRequests().receive(1, memory.address + 3 * PAGE_SIZE, PAGE_SIZE, lkey));

  process.on('message', (message: ToPeer) => {
    if ('connect' in message) {
      side.qp.connect(message.connect);
      tell({ connected: true });
      void side.cq.wait().then(([received]) => {
        tell({ received: received.byteLength });
      });
    } else if ('send' in message) {
      const sent = outgoing.bytes.write(message.send);
      side.qp.postSend(new SendRequests().send(2, outgoing.address, sent, outgoing.region.lkey));
    } else {
      tell({ memory: memory.bytes.toString('latin1') });
    }
  });
  process.on('disconnect', () => {
    side.close();
  });
  tell({ endpoint: side.qp.local, address: memory.address, length, rkey: memory.region.rkey });
}

if (process.send !== undefined && process.argv[2] === 'peer') main();
