import assert from 'node:assert/strict';
import { Gauge, Registry } from 'prom-client';
import { noStatistics } from '../../src/cache/statistics.js';
import type { RegcacheError } from '../../src/errors.js';
import { register } from '../../src/metrics.js';
import { modelled } from './cache-fixture.js';

describe('metrics', () => {
  let registry: Registry;
  beforeEach(() => {
    registry = new Registry();
  });

  /** Samples by name and labels, as Prometheus reads them. */
  const samples = async (): Promise<Record<string, number>> => {
    const lines = (await registry.metrics())
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    return Object.fromEntries(
      lines.map((line) => [line.replace(/ \S+$/, ''), Number(line.split(' ').at(-1))]),
    );
  };

  it('are made of the statistics each time they are collected', async () => {
    const { cache, pages } = modelled();
    register(cache, { register: registry, labels: { device: 'rxe0' } });
    for (const hits of [1, 3]) {
      while (cache.statistics().hits < hits) pages(0, 2).release();
      const found = await samples();
      assert.equal(found['rdma_regcache_hits_total{device="rxe0"}'], hits);
      assert.equal(found['rdma_regcache_acquires_total{device="rxe0"}'], hits + 1);
      assert.equal(found['rdma_regcache_registered{device="rxe0"}'], 1);
      assert.equal(found['rdma_regcache_pinned_bytes{device="rxe0"}'], 8192);
      assert.equal(found['rdma_regcache_registered_by_size{device="rxe0",from_bytes="8192"}'], 1);
      const seconds = found['rdma_regcache_registration_seconds_total{device="rxe0"}'];
      assert.ok(Math.abs(seconds * 1e6 - cache.statistics().registrationMicroseconds) < 1e-3);
    }
    cache.flush();
    const found = await samples();
    assert.equal(found['rdma_regcache_registered{device="rxe0"}'], 0);
    assert.equal(found['rdma_regcache_registered_by_size{device="rxe0",from_bytes="8192"}'], undefined);
  });

  it('have all that the statistics have', async () => {
    register(modelled().cache, { register: registry });
    const expected = Object.keys(noStatistics()).map((field) => {
      const snake = field
        .replace('Microseconds', 'Seconds')
        .replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
      return `rdma_regcache_${snake}${['registered', 'pinnedBytes'].includes(field) ? '' : '_total'}`;
    });
    assert.deepEqual(Object.keys(await samples()).sort(), expected.sort());
  });

  it('tell caches apart by labels, and add up those that have the same', async () => {
    const caches = ['a', 'b', 'b'].map((name) => {
      const { cache, pages } = modelled();
      const leaveOut = register(cache, { register: registry, labels: { name } });
      pages(0, 1).release();
      return { cache, leaveOut };
    });
    const misses = async (): Promise<(number | undefined)[]> => {
      const found = await samples();
      return ['a', 'b'].map((name) => found[`rdma_regcache_misses_total{name="${name}"}`]);
    };
    assert.deepEqual(await misses(), [1, 2]);
    caches[0].leaveOut();
    caches[1].cache.close();
    assert.deepEqual(await misses(), [undefined, 1]);
  });

  it('refuse labels of other names, what is no cache, and one that was closed', () => {
    const { cache } = modelled();
    register(cache, { register: registry, labels: { name: 'a' } });
    const refused = { code: 'ERR_INVALID_OPTION' };
    assert.throws(() => register(modelled().cache, { register: registry, labels: { nam: 'b' } }), refused);
    assert.throws(() => register({} as never, { register: registry }), refused);
    assert.throws(() => register(cache, { registry } as never), refused);
    cache.close();
    assert.throws(() => register(cache, { register: registry, labels: { name: 'a' } }), {
      code: 'ERR_CLOSED',
    });
  });

  it('refuse labels that Prometheus does not have, and leave the registry as it was', () => {
    const { cache } = modelled();
    const named = [{ 'a-b': 'c' }, { '': 'c' }, { '1a': 'c' }, { from_bytes: 'c' }, { a: 5 }];
    for (const labels of [...named, null, 0, new Map([['a', 'c']])]) {
      assert.throws(() => register(cache, { register: registry, labels: labels as never }), {
        code: 'ERR_INVALID_OPTION',
        message: /option labels (has|is) /,
      });
    }
    assert.deepEqual(registry.getMetricsAsArray(), []);
    register(cache, { register: registry, labels: { _a1: 'c' } });
  });

  it('are made anew in a registry that was cleared, with labels of other names as well', async () => {
    register(modelled().cache, { register: registry });
    registry.clear();
    const { cache, pages } = modelled();
    pages(0, 1).release();
    register(cache, { register: registry, labels: { name: 'a' } });
    assert.equal((await samples())['rdma_regcache_registered{name="a"}'], 1);
    // Not once more for each registration of a cache.
    register(modelled().cache, { register: registry, labels: { name: 'b' } });
    assert.equal((await samples())['rdma_regcache_registered{name="b"}'], 0);
  });

  it('stay when one of them was taken out', async () => {
    const { cache, pages } = modelled();
    pages(0, 1).release();
    register(cache, { register: registry });
    registry.removeSingleMetric('rdma_regcache_registered_by_size');
    const other = modelled();
    other.pages(0, 1).release();
    register(other.cache, { register: registry });
    assert.equal((await samples())['rdma_regcache_registered'], 2);
  });

  it('have labels of other names for caches that come when all others were closed', async () => {
    const { cache } = modelled();
    register(cache, { register: registry, labels: { device: 'rxe0' } });
    cache.close();
    register(modelled().cache, { register: registry, labels: { name: 'a' } });
    assert.equal((await samples())['rdma_regcache_registered{name="a"}'], 0);
  });

  it('refuse what is no registry, and one that has such metrics of somebody else', () => {
    const { cache } = modelled();
    // The last to be made.
    const name = 'rdma_regcache_registered_by_size';
    new Gauge({ name, help: 'of another copy', registers: [registry] });
    for (const other of [registry, {}, 5]) {
      assert.throws(
        () => register(cache, { register: other as never }),
        (error: RegcacheError) => error.code === 'ERR_INVALID_OPTION' && error.cause instanceof Error,
      );
    }
    // Nothing of ours is left there.
    registry.removeSingleMetric(name);
    register(cache, { register: registry });
  });
});
