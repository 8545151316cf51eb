import assert from 'node:assert/strict';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { CacheLimits } from '../../src/cache/options.js';
import type { PageWitness } from '../../src/memory/page-witness.js';
import type { Registration } from '../../src/cache/registration.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { AddressSpace, ModelRegistrar } from '../model/address-space.js';

/** Where the modelled memory lies. */
export const BASE = 0x7000_0000_0000;

/** First byte of page `n` of the modelled memory. */
export const at = (n: number): number => BASE + n * PAGE_SIZE;

export const PAGES = 64;

/**
 * A cache on a modelled address space of `PAGES` mapped pages.
 * @param generationWords how many of them the monitor has; none when left out
 */
export function modelled(limits: CacheLimits & { witness?: PageWitness } = {}, generationWords = 0) {
  const space = new AddressSpace();
  if (generationWords > 0) space.monitor.generations = new Int32Array(generationWords);
  space.map(at(0), at(PAGES));
  return { space, ...cacheOn(space, space.registrar, limits), sharing };

  /** Another cache on the same monitor, with a registrar of its own. */
  function sharing(moreLimits: CacheLimits = {}) {
    return cacheOn(space, new ModelRegistrar(space), moreLimits);
  }
}

/** A cache on a modelled address space, and what to look at it with. */
export function cacheOn(
  space: AddressSpace,
  registrar: ModelRegistrar,
  limits: CacheLimits & { witness?: PageWitness },
) {
  const { monitor } = space;
  const cache = new RegistrationCache({
    monitor,
    registrar,
    eagerDrain: false,
    deregisterFor: Infinity,
    ...limits,
  });
  return {
    monitor,
    registrar,
    cache,
    /** Acquire pages `first` to `end` (exclusive). */
    pages: (first: number, end: number, access?: number): Registration =>
      cache.acquireRange(at(first), (end - first) * PAGE_SIZE, access),
    /** Fails unless the registration covers the pages and pins what they map to now. */
    assertFresh: (registration: Registration, first: number, end: number): void => {
      const region = registrar.byKey(registration.lkey);
      assert.ok(registrar.pinned.has(region), 'the registration is pinned');
      assert.ok(region.start <= at(first) && region.end >= at(end), 'the registration covers the request');
      assert.deepEqual(region.frames, space.frames(region.start, region.end), 'it pins what is mapped now');
    },
    /** Fails unless nothing is pinned and, by any cache on the monitor, nothing watched any more. */
    assertNothingLeft: (): void => {
      assert.equal(monitor.watches.size, 0, 'watches left');
      assertNoneRegistered();
    },
    assertNoneRegistered,
  };

  function assertNoneRegistered(): void {
    assert.equal(registrar.pinned.size, 0, 'pinned regions left');
    const { registered, pinnedBytes, registrations, deregistrations } = cache.statistics();
    assert.equal(registered, 0);
    assert.equal(pinnedBytes, 0);
    assert.equal(registrations, deregistrations);
  }
}
