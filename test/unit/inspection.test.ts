import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { Access } from '../../src/access.js';
import { at, modelled } from './cache-fixture.js';
import { endpointOver } from './endpoint-fixture.js';

const ONE_LINE = { breakLength: Infinity, compact: 100 };

/** What becomes of it in JSON. */
const throughJson = (object: unknown): Record<string, unknown> =>
  JSON.parse(JSON.stringify(object)) as Record<string, unknown>;

describe('JSON.stringify', () => {
  it('says of a registration what a program, or a peer, wants to know', () => {
    const { cache, pages } = modelled();
    const access = Access.LOCAL_WRITE | Access.REMOTE_READ;
    const registration = pages(1, 3, access);
    const { lkey, rkey } = registration;
    const facts = { address: at(1), length: 8192, lkey, rkey, access, uses: 1, stale: false };
    assert.deepEqual(throughJson(registration), facts);
    const pinned = cache.pin({ address: at(1), length: 8192 }, access);
    assert.deepEqual(throughJson(pinned), { ...facts, uses: 2, released: false });
    pinned.release();
    assert.deepEqual(throughJson(pinned), { ...facts, released: true });
  });

  it('says of a cache and an endpoint what they hold and have done', () => {
    const { cache, monitor, pages } = modelled({ maxRegistrations: 9 });
    for (let i = 0; i < 3; i++) pages(0, 2).release();
    const facts = {
      ...{
        monitor: monitor.kind,
        registered: 1,
        pinnedBytes: 8192,
        maxRegistrations: 9,
        maxPinnedBytes: null,
      },
      ...{ acquires: 3, hits: 2, misses: 1, uncached: 0, bypass: false, closed: false },
    };
    assert.deepEqual(throughJson(cache), facts);
    const { endpoint } = endpointOver([]);
    const { device, closed, cache: its } = throughJson(endpoint);
    assert.deepEqual([device, closed, Object.keys(its as object)], ['rxe0', false, Object.keys(facts)]);
  });

  it('says nothing of what only looks like one of them', () => {
    const { cache, pages } = modelled();
    const pinned = cache.pin({ address: at(0), length: 4096 });
    const { endpoint } = endpointOver([]);
    for (const object of [cache, pages(1, 2), pinned, endpoint])
      assert.deepEqual(throughJson(new Proxy(object, {})), {});
  });
});

describe('console.log', () => {
  it('shows what there is to know of a registration, and nothing of what it is made of', () => {
    const { cache, pages, space } = modelled();
    const registration = pages(1, 3, Access.LOCAL_WRITE | Access.REMOTE_READ);
    pages(1, 3, Access.LOCAL_WRITE | Access.REMOTE_READ);
    const [address, lkey, rkey] = [at(1), registration.lkey, registration.rkey].map((n) => n.toString(16));
    const expected = (stale: boolean): string =>
      `Registration { address: 0x${address}, length: 8192, lkey: 0x${lkey}, rkey: 0x${rkey}, ` +
      `access: LOCAL_WRITE|REMOTE_READ, uses: 2, stale: ${stale} }`;
    assert.equal(inspect(registration, ONE_LINE), expected(false));
    space.map(at(1), at(2));
    cache.drain();
    assert.equal(inspect(registration, ONE_LINE), expected(true));
  });

  it('shows of one acquire whether it was released', () => {
    const { cache } = modelled();
    const pinned = cache.pin({ address: at(0), length: 4096 });
    assert.match(inspect(pinned, ONE_LINE), /^Registration \{ address: 0x.*uses: 1, .*released: false \}$/);
    pinned.release();
    assert.match(inspect(pinned, ONE_LINE), /^Registration \{ address: 0x.*uses: 0, .*released: true \}$/);
  });

  it('shows what a cache holds and has done', () => {
    const { cache, monitor, pages } = modelled({ maxRegistrations: 9 });
    for (let i = 0; i < 3; i++) pages(0, 2).release();
    const shown = (closed: boolean): string => {
      const [registered, pinnedBytes] = closed ? [0, 0] : [1, 8192];
      return (
        `RegistrationCache { monitor: '${monitor.kind}', registered: ${registered}, pinnedBytes: ${pinnedBytes}, ` +
        'maxRegistrations: 9, maxPinnedBytes: Infinity, acquires: 3, hits: 2, misses: 1, uncached: 0, bypass: false, ' +
        `closed: ${closed} }`
      );
    };
    assert.equal(inspect(cache, ONE_LINE), shown(false));
    cache.close();
    assert.equal(inspect(cache, ONE_LINE), shown(true));
  });

  it('shows by name what only looks like one of them', () => {
    const { cache, pages } = modelled();
    const pinned = cache.pin({ address: at(0), length: 4096 });
    const { endpoint } = endpointOver([]);
    const names = ['RegistrationCache', 'Registration', 'Registration', 'Endpoint'];
    [cache, pages(1, 2), pinned, endpoint].forEach((object, i) => {
      assert.equal(inspect(new Proxy(object, {})), `[${names[i]}]`);
    });
  });

  it('shows the state of an endpoint, and its cache by name where it is deep', async () => {
    const { endpoint } = endpointOver([]);
    const start = "Endpoint { device: 'rxe0', outstanding: 0, arrived: 0, exposed: 0, closed: ";
    assert.ok(inspect(endpoint, ONE_LINE).startsWith(`${start}false, cache: RegistrationCache { monitor: `));
    await endpoint.close();
    assert.equal(inspect(endpoint, { ...ONE_LINE, depth: 0 }), `${start}true, cache: [RegistrationCache] }`);
    assert.equal(inspect([endpoint], { ...ONE_LINE, depth: 0 }), '[ [Endpoint] ]');
  });
});
