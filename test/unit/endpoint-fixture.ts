import { Endpoint } from '../../src/endpoint/endpoint.js';
import { Link } from '../../src/endpoint/link.js';
import { takeListenOptions } from '../../src/endpoint/options.js';
import { modelled } from './cache-fixture.js';

/** An endpoint over a link of which some calls fail; what is done with its parts is noted down in order. */
export function endpointOver(failing: readonly string[]): { endpoint: Endpoint; done: string[] } {
  const done: string[] = [];
  const call = (name: string) => () => {
    if (failing.includes(name)) throw new Error(name);
    done.push(name);
    return [];
  };
  const parts = {
    id: { close: call('disconnect') },
    domain: {
      protectionDomain: { context: { device: { name: 'rxe0' } } },
      cache: modelled().cache,
      release: () => Promise.resolve(call('release')()),
    },
    options: takeListenOptions({ receiveBuffers: 0, polling: true }).endpoint,
    queuePair: { toError: call('toError'), close: call('destroy queue pair') },
    completions: { poll: call('poll'), close: call('destroy completion queue') },
    maxMessage: 1024,
  };
  const link = Object.assign(Object.create(Link.prototype) as Link, parts);
  return { endpoint: new Endpoint(link), done };
}
