import assert from 'node:assert/strict';
import { resolveHost } from '../../src/cm/address.js';
import { ConnectionId } from '../../src/cm/connection-id.js';
import { Link } from '../../src/endpoint/link.js';
import { takeListenOptions } from '../../src/endpoint/options.js';
import { LAYOUT, VALUES } from '../../src/verbs/layout.js';
import { libibverbs } from '../../src/verbs/library.js';
import type { QueuePair } from '../../src/verbs/queue-pair.js';
import { requireStack } from '../system/stack.js';
import { connectionsThatLeaveNothing, hostOfDevice } from './fixture.js';
import { RawListener, RawPeer, type Reads } from './raw-peer.js';

/** What the device was told of a queue pair (ibv_query_qp(3)). */
function readsOf({ pointer }: QueuePair): Reads {
  const at = LAYOUT.ibv_qp_attr;
  const attributes = Buffer.alloc(at.sizeof);
  const mask = VALUES.IBV_QP_MAX_QP_RD_ATOMIC | VALUES.IBV_QP_MAX_DEST_RD_ATOMIC;
  const initial = Buffer.alloc(LAYOUT.ibv_qp_init_attr.sizeof);
  assert.equal(libibverbs().queryQp(pointer, attributes, mask, initial), 0);
  return {
    readsAccepted: attributes.readUInt8(at.max_dest_rd_atomic),
    readsInitiated: attributes.readUInt8(at.max_rd_atomic),
  };
}

/** What the other side says it can do, and what becomes of the 16 at once that this side can. */
const ROWS: readonly (readonly [other: Reads, here: Reads])[] = [
  [
    { readsAccepted: 32, readsInitiated: 2 },
    { readsAccepted: 2, readsInitiated: 16 },
  ],
  [
    { readsAccepted: 4, readsInitiated: 32 },
    { readsAccepted: 16, readsInitiated: 4 },
  ],
];

describe('reads and atomics at once', function () {
  this.timeout(120_000);
  requireStack();
  connectionsThatLeaveNothing();
  const { endpoint: options } = takeListenOptions({});

  for (const [other, here] of ROWS) {
    const what = `of_a_peer_that_answers_${other.readsAccepted}_and_has_${other.readsInitiated}_in_flight`;

    it(`${what}_and_asks`, async () => {
      using listener = new RawListener();
      const asked = listener.asked();
      using peer = await RawPeer.to(hostOfDevice(), listener.port);
      const asking = peer.ask(other);
      const request = await asked;
      const id = ConnectionId.ofRequest(request);
      const link = new Link(id, id.device!, options);
      const accepting = link.accept(request);
      const said = await asking;
      peer.confirm();
      await accepting;
      assert.deepEqual(readsOf(link.queuePair), here);
      assert.deepEqual(said, here, 'the device and the peer are told the same');
      link.close();
      await link.domain.release();
    });

    it(`${what}_and_is_asked`, async () => {
      using listener = new RawListener();
      const asked = listener.asked();
      const id = ConnectionId.create();
      await id.resolve(await resolveHost(hostOfDevice(), listener.port));
      const link = new Link(id, id.device!, options);
      const connecting = link.connect();
      using peer = new RawPeer(ConnectionId.ofRequest(await asked));
      await Promise.all([connecting, peer.accept(other)]);
      assert.deepEqual(readsOf(link.queuePair), here);
      link.close();
      await link.domain.release();
    });
  }
});
