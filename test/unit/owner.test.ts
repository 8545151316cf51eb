import assert from 'node:assert/strict';
import { nullRegistrar } from '../../bench/hit/null.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import { addressOf } from '../../src/memory/locate.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { ModelMonitor } from '../model/address-space.js';
import { isCollected } from '../garbage.js';

describe('cache: the memory behind a registration', () => {
  const cache = new RegistrationCache({ monitor: new ModelMonitor(), registrar: nullRegistrar });

  // Each in a function of its own, so that no stack slot holds the buffer.
  const acquireFresh = (bytes: number) => {
    const buffer = new ArrayBuffer(bytes);
    return { registration: cache.acquire(buffer), memory: new WeakRef(buffer) };
  };

  it('stays alive while it is in use, and not because it is cached', async () => {
    const { registration, memory } = acquireFresh(100_000);
    assert.equal(await isCollected(memory), false);
    registration.release();
    assert.equal(await isCollected(memory), true);
  });

  it('stays alive for each of several owners in the same page', async () => {
    const acquireNeighbours = () => {
      const byPage = new Map<number, ArrayBuffer>();
      for (;;) {
        const buffer = new ArrayBuffer(64);
        const page = Math.floor(addressOf(buffer) / PAGE_SIZE);
        // One that reaches into the next page is of a larger registration.
        if (Math.floor((addressOf(buffer) + 63) / PAGE_SIZE) !== page) continue;
        const neighbour = byPage.get(page);
        byPage.set(page, buffer);
        if (neighbour === undefined) continue;
        const registration = cache.acquire(neighbour);
        assert.equal(cache.acquire(buffer), registration);
        return { registration, memory: new WeakRef(buffer) };
      }
    };
    const { registration, memory } = acquireNeighbours();
    registration.release();
    assert.equal(await isCollected(memory), false);
    registration.release();
    assert.equal(await isCollected(memory), true);
  });

  it('stays alive while another thread registers it', async () => {
    const calls: (() => void)[] = [];
    const registerAsync = () =>
      new Promise<number>((resolve) => {
        calls.push(() => {
          resolve(0);
        });
      });
    const slow = new RegistrationCache({
      monitor: new ModelMonitor(),
      registrar: { ...nullRegistrar, registerAsync },
      registerOffThreadFrom: 0,
    });
    const acquireLater = (bytes: number) => {
      const buffer = new ArrayBuffer(bytes);
      return { wanted: slow.acquireAsync(buffer), memory: new WeakRef(buffer) };
    };
    const { wanted, memory } = acquireLater(100_000);
    assert.equal(await isCollected(memory), false);
    calls.shift()!();
    const registration = await wanted;
    assert.equal(await isCollected(memory), false);
    registration.release();
    slow.close();
  });
});
