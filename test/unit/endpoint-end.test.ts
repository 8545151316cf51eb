import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RegcacheError } from '../../src/errors.js';
import { endpointOver } from './endpoint-fixture.js';

describe('endpoint: its end', () => {
  const ALL = ['toError', 'poll', 'disconnect', 'destroy queue pair', 'destroy completion queue', 'release'];

  for (const failing of [[], ['toError'], ['poll'], ['toError', 'poll']]) {
    it(`takes all apart, in order${failing.map((name) => `, though ${name} fails`).join('')}`, async () => {
      const { endpoint, done } = endpointOver(failing);
      const told = once(endpoint, 'close');
      await endpoint.close();
      assert.deepEqual(await told, [undefined]);
      assert.deepEqual(
        done,
        ALL.filter((step) => !failing.includes(step)),
      );
    });
  }

  it('is told, and the peer with it, when the device does not let go; the memory stays held', async () => {
    const { endpoint, done } = endpointOver(['destroy queue pair']);
    const told = once(endpoint, 'close') as Promise<[RegcacheError]>;
    await endpoint.close();
    assert.equal((await told)[0].code, 'ERR_DISCONNECTED');
    assert.deepEqual(done, ['toError', 'poll', 'disconnect']);
  });
});
