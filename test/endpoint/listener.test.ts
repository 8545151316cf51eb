import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/endpoint/connect.js';
import type { Endpoint } from '../../src/endpoint/endpoint.js';
import { listen } from '../../src/endpoint/listener.js';
import type { RegcacheError } from '../../src/errors.js';
import { kernelState } from '../survival/kernel-state.js';
import { requireStack } from '../system/stack.js';
import { needs } from '../needs.js';
import { connectionsThatLeaveNothing, hostOfDevice, linkLocalHostOfDevice } from './fixture.js';
import { RawPeer } from './raw-peer.js';

describe('a listener', function () {
  this.timeout(120_000);
  requireStack();
  connectionsThatLeaveNothing();

  /** The error that connecting ends with at last, or the endpoint: a peer that has gone is heard of a moment later. */
  async function connectedInTheEnd(port: number): Promise<Endpoint> {
    for (let tries = 1; ; tries++) {
      try {
        return await connect({ host: hostOfDevice(), port });
      } catch (error) {
        if ((error as RegcacheError).code !== 'ECONNREFUSED' || tries === 600) throw error;
        await delay(50);
      }
    }
  }

  it('that_closes_breaks_off_what_is_being_connected_and_waits_for_its_end', async () => {
    const listener = await listen();
    const failed: Error[] = [];
    listener.on('failed', (error) => failed.push(error));
    const accepting = listener.accept();
    using peer = await RawPeer.to(hostOfDevice(), listener.port);
    const before = kernelState();
    // It answers, and waits for a confirmation.
    await peer.ask({ readsAccepted: 1, readsInitiated: 1 });
    assert.notDeepEqual(kernelState().objects, before.objects);
    const [closing, again] = [listener.close(), listener.close()];
    await Promise.all([assert.rejects(accepting, { code: 'ERR_CLOSED' }), closing, again]);
    const { pinnedPages, openFiles } = kernelState();
    assert.deepEqual(
      { pinnedPages, openFiles },
      { pinnedPages: before.pinnedPages, openFiles: before.openFiles },
    );
    assert.deepEqual(failed, []);
    assert.equal(listener.closed, true);
  });

  it('takes_in_peers_at_an_address_that_cannot_be_bound_again', async function () {
    const host = linkLocalHostOfDevice();
    needs(this, 'a link-local address of an RDMA device', host !== undefined);
    await using listener = await listen({ host: '::' });
    const accepting = listener.accept();
    accepting.catch(() => undefined);
    await using client = await connect({ host: host!, port: listener.port });
    await using server = await accepting;
    const [, message] = await Promise.all([client.send(Buffer.from('from next door')), server.receive()]);
    assert.equal(message.data.toString(), 'from next door');
    message.release();
  });

  it('forgets_peers_that_have_gone_without_a_word', async () => {
    await using listener = await listen({ backlog: 1 });
    for (let n = 0; n < 3; n++) await (await connectedInTheEnd(listener.port)).close();
    const client = await connectedInTheEnd(listener.port);
    const server = await listener.accept();
    await Promise.all([client.send(Buffer.from('the last')), server.receive()]);
    await Promise.all([client.close(), server.close()]);
  });

  it('keeps_what_a_peer_has_sent_before_it_went', async () => {
    await using listener = await listen({ backlog: 1 });
    const first = await connect({ host: hostOfDevice(), port: listener.port });
    await first.send(Buffer.from('a word'));
    await first.close();
    // Until the listener has heard of it, and some more.
    await delay(200);
    await assert.rejects(connect({ host: hostOfDevice(), port: listener.port }), { code: 'ECONNREFUSED' });
    const server = await listener.accept();
    assert.equal((await server.receive()).data.toString(), 'a word');
    await assert.rejects(server.receive(), { code: 'ERR_DISCONNECTED' });
    await server.close();
  });
});
