import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { connect } from '../../src/endpoint/connect.js';
import { listen } from '../../src/endpoint/listener.js';
import { hostOfDevice } from './fixture.js';
import { requireStack } from '../system/stack.js';
import { kernelState, settlesAt } from '../survival/kernel-state.js';

describe('connections', function () {
  this.timeout(900_000);
  requireStack();

  it('opened_and_closed_hundreds_of_times_leave_nothing', async () => {
    const host = hostOfDevice();
    await using listener = await listen();
    const openAndClose = async (n: number): Promise<RegistrationCache> => {
      const [server, client] = await Promise.all([listener.accept(), connect({ host, port: listener.port })]);
      const [message] = await Promise.all([server.receive(), client.send(Buffer.from([n & 0xff]))]);
      assert.equal(message.data[0], n & 0xff);
      await Promise.all([client.close(), server.close()]);
      return server.cache;
    };
    const held = (): number => readdirSync('/proc/self/fd').length;
    const cache = await openAndClose(0);
    // What is idle and kept is no leak.
    cache.flush();
    const [early, descriptors] = [kernelState(), held()];
    for (let n = 1; n < 300; n++) await openAndClose(n);
    cache.flush();
    await settlesAt(early);
    assert.equal(held(), descriptors);
  });
});
