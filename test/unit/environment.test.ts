import assert from 'node:assert/strict';
import { readEnvironment, unknownVariables } from '../../src/environment.js';

describe('environment', () => {
  it('sets nothing when nothing is set, or only to nothing', () => {
    assert.deepEqual(readEnvironment({}), {});
    assert.deepEqual(readEnvironment({ RDMA_REGCACHE_MONITOR: '', RDMA_REGCACHE_BYPASS: '' }), {});
  });

  it('sets every variable', () => {
    const settings = readEnvironment({
      RDMA_REGCACHE_MONITOR: 'none',
      RDMA_REGCACHE_DEVICE: '/dev/other',
      RDMA_REGCACHE_MAX_REGISTRATIONS: '100',
      RDMA_REGCACHE_MAX_PINNED_BYTES: '3G',
      RDMA_REGCACHE_BYPASS: '1',
      RDMA_REGCACHE_CHECKING: 'off',
      RDMA_REGCACHE_STATS: 'yes',
    });
    assert.deepEqual(settings, {
      monitor: 'none',
      device: '/dev/other',
      maxRegistrations: 100,
      maxPinnedBytes: 3 * 1024 ** 3,
      bypass: true,
      checking: false,
      publish: true,
    });
  });

  const BYTES = { '1': 1, '4096': 4096, '2k': 2048, '5M': 5 * 2 ** 20, '1T': 2 ** 40, unlimited: Infinity };
  for (const [text, bytes] of Object.entries(BYTES)) {
    it(`takes ${text} for ${bytes} bytes`, () => {
      assert.deepEqual(readEnvironment({ RDMA_REGCACHE_MAX_PINNED_BYTES: text }), { maxPinnedBytes: bytes });
    });
  }

  for (const [name, text] of [
    ['RDMA_REGCACHE_MONITOR', 'uffd'],
    ['RDMA_REGCACHE_MONITOR', 'None'],
    ['RDMA_REGCACHE_DEVICE', 'ummunotify'],
    ['RDMA_REGCACHE_MAX_REGISTRATIONS', '0'],
    ['RDMA_REGCACHE_MAX_REGISTRATIONS', '1K'],
    ['RDMA_REGCACHE_MAX_REGISTRATIONS', '-1'],
    ['RDMA_REGCACHE_MAX_PINNED_BYTES', '1.5G'],
    ['RDMA_REGCACHE_MAX_PINNED_BYTES', 'G'],
    ['RDMA_REGCACHE_MAX_PINNED_BYTES', '9007199254740992T'],
    ['RDMA_REGCACHE_MAX_PINNED_BYTES', '1e9'],
    ['RDMA_REGCACHE_BYPASS', '2'],
    ['RDMA_REGCACHE_CHECKING', 'maybe'],
  ] as const) {
    it(`refuses ${name}=${text} by name`, () => {
      assert.throws(() => readEnvironment({ [name]: text }), {
        code: 'ERR_INVALID_OPTION',
        message: new RegExp(`the environment variable ${name} is .*not '${text.replace('.', '\\.')}'$`),
      });
    });
  }

  it('knows a slip in a name from a name of somebody else', () => {
    const env = {
      RDMA_REGCACHE_MONITER: 'none',
      RDMA_REGCACHE_VM: '1',
      RDMA_REGCACHE_BYPASS: '1',
      RDMAV_X: '',
    };
    assert.deepEqual(unknownVariables(env), ['RDMA_REGCACHE_MONITER']);
  });
});
