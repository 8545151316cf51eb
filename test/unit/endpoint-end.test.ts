import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { Link } from '../../src/endpoint/link.js';
import { takeListenOptions } from '../../src/endpoint/options.js';
import type { RegcacheError } from '../../src/errors.js';

/** An endpoint over a link of which some calls fail; what is done with its parts is noted down in order. */
function endpointOver(failing: readonly string[]): { endpoint: Endpoint; done: string[] } {
  const done: string[] = [];
  const call = (name: string) => () => {
    if (failing.includes(name)) throw new Error(name);
    done.push(name);
    return [];
  };
  const parts = {
    id: { close: call('disconnect') },
    domain: { cache: {}, release: () => Promise.resolve(call('release')()) },
    options: takeListenOptions({ receiveBuffers: 0, polling: true }).endpoint,
    queuePair: { toError: call('toError'), close: call('destroy queue pair') },
    completions: { poll: call('poll'), close: call('destroy completion queue') },
    maxMessage: 1024,
  };
  const link = Object.assign(Object.create(Link.prototype) as Link, parts);
  return { endpoint: new Endpoint(link), done };
}

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
