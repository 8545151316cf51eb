import type { RegistrationCache } from '../../src/cache/cache.js';
import type { RetireReason } from '../../src/cache/events.js';
import { pageCeil, pageFloor } from '../../src/memory/pages.js';

/** What a thread has counted itself of what it had its cache do. */
export class Witnessed {
  readonly #cache: RegistrationCache;
  acquired = 0;
  #registered = 0;
  #evicted = 0;
  #staleInUse = 0;
  readonly #retired = new Map<RetireReason, number>();

  constructor(cache: RegistrationCache) {
    this.#cache = cache;
    cache.on('register', () => this.#registered++);
    cache.on('evict', () => this.#evicted++);
    cache.on('stale', () => this.#staleInUse++);
    cache.on('retire', (_, reason) => this.#retired.set(reason, (this.#retired.get(reason) ?? 0) + 1));
  }

  /**
   * What is not as it must be while nothing is in use and no acquire is under way. To be called in a turn of the event
   * loop of its own, when all events of the cache have been told.
   */
  contradictions(): string[] {
    const cache = this.#cache;
    const all = cache.statistics();
    const held = cache.registrations();
    const sizes = cache.sizes();
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    const pinned = held.map(({ address, length }) => pageCeil(address + length) - pageFloor(address));
    const made = all.misses + all.uncached;
    const equal: [string, number, number][] = [
      ['acquires are what was acquired', all.acquires, this.acquired],
      ['hits + misses + uncached = acquires', all.hits + made, all.acquires],
      [
        'registrations - deregistrations = registered',
        all.registrations - all.deregistrations,
        all.registered,
      ],
      ['registered is what is listed', all.registered, held.length],
      ['the sizes have all that is registered', sum(sizes.map((size) => size.registrations)), all.registered],
      [
        'the sizes have all lengths',
        sum(sizes.map(({ bytes }) => bytes)),
        sum(held.map((one) => one.length)),
      ],
      ['the pinned bytes are those of what is listed', all.pinnedBytes, sum(pinned)],
      ['nothing is in use', sum(held.map(({ uses }) => uses)), 0],
      ['nothing stale or retired is kept', held.filter(({ stale, retired }) => stale || retired).length, 0],
      ['each one made was told', this.#registered, made],
      ['each one stale was told', this.#retired.get('stale') ?? 0, all.invalidations],
      ['each one stale in use was told', this.#staleInUse, all.invalidatedInUse],
      ['each eviction was told', this.#evicted, all.evictions],
      ['each eviction retired one', this.#retired.get('evicted') ?? 0, all.evictions],
      ['the device refused to let go of none', all.deregistrationFailures, 0],
    ];
    const { maxRegistrations, maxPinnedBytes } = cache.limits;
    const most: [string, number, number][] = [
      ['handed out or unstable are registrations', made + all.unstable, all.registrations],
      ['those stale in use are stale', all.invalidatedInUse, all.invalidations],
      ['what went stale is gone', all.invalidations, all.deregistrations],
      ['registered within the limit', all.registered, maxRegistrations],
      ['pinned within the limit', all.pinnedBytes, maxPinnedBytes],
    ];
    return [
      ...equal.filter(([, a, b]) => a !== b).map(([what, a, b]) => `${what}: ${a} and ${b}`),
      ...most.filter(([, a, b]) => a > b).map(([what, a, b]) => `${what}: ${a} and at most ${b}`),
    ];
  }
}
