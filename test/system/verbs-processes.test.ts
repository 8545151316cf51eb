import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ReceiveRequests, SendRequests } from '../../src/verbs/work-request.js';
import { needs } from '../needs.js';
import { completions, PAGE_SIZE, Side } from './verbs-fixture.js';
import type { FromPeer, ToPeer } from './verbs-peer.js';

describe('two processes', () => {
  let peer: ChildProcess;
  let side: Side;
  before(function () {
    needs(this, 'rdma-device');
    side = new Side();
    peer = fork(fileURLToPath(new URL('verbs-peer.js', import.meta.url)), ['peer']);
  });
  after(async () => {
    if ((peer as ChildProcess | undefined) === undefined) return;
    side.close();
    const exited = once(peer, 'exit');
    peer.disconnect();
    assert.deepEqual(await exited, [0, null], 'the peer closes its side and ends');
  });

  const next = async (): Promise<FromPeer> => ((await once(peer, 'message')) as [FromPeer])[0];
  const ask = (message: ToPeer): Promise<FromPeer> => {
    const answer = next();
    peer.send(message);
    return answer;
  };

  it('write_read_and_send_to_each_other', async () => {
    const { endpoint, address, length, rkey } = (await next()) as Required<FromPeer>;
    const memory = side.memory(length);
    const { lkey } = memory.region;
    side.qp.connect(endpoint);
    assert.deepEqual(await ask({ connect: side.qp.local }), { connected: true });

    // Read what the peer prepared.
    side.qp.postSend(new SendRequests().read(1, memory.address, length, lkey, address, rkey));
    assert.equal((await completions(side.cq, 1))[0].status, 'SUCCESS');
    assert.equal(memory.bytes.toString('latin1'), 'peer '.repeat(length / 5 + 1).slice(0, length));

    // Write over a part of it.
    memory.bytes.fill('written! ');
    side.qp.postSend(new SendRequests().write(2, memory.address, PAGE_SIZE, lkey, address + 50, rkey));
    assert.equal((await completions(side.cq, 1))[0].status, 'SUCCESS');
    const { memory: seen } = await ask({ report: true });
    const before = 'peer '.repeat(length / 5 + 1).slice(0, length);
    const written = memory.bytes.toString('latin1', 0, PAGE_SIZE);
    assert.equal(seen, before.slice(0, 50) + written + before.slice(50 + PAGE_SIZE));

    // Send to it, and let it send.
    const received = next();
    side.qp.postSend(new SendRequests().send(3, memory.address, 1234, lkey));
    assert.deepEqual(await received, { received: 1234 });
    side.qp.postReceive(new ReceiveRequests().receive(4, memory.address, PAGE_SIZE, lkey));
    await completions(side.cq, 1);
    peer.send({ send: 'from the peer' } satisfies ToPeer);
    const [message] = await side.cq.wait();
    assert.deepEqual([message.id, message.byteLength], [4, 13]);
    assert.equal(memory.bytes.toString('latin1', 0, 13), 'from the peer');
  });
});
