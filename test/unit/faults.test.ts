import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Access } from '../../src/access.js';
import type { Registration } from '../../src/cache/registration.js';
import { RegcacheError, systemError } from '../../src/errors.js';
import type { PageWitness } from '../../src/memory/page-witness.js';
import { AddressSpace, ModelRegistrar } from '../model/address-space.js';
import { at, cacheOn, PAGES } from './cache-fixture.js';

const REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE;
const range = (first: number, end: number) => ({ address: at(first), length: at(end) - at(first) });

/** Refusals that mean different things to the cache: for want of something, for good, and of no system call. */
const ERRNOS = ['ENOMEM', 'EIO', 'EAGAIN', 'EINVAL', 'ENOSPC', 'EBUSY', 'EMFILE', 'EFAULT'] as const;

/** The long run has each step fail with each of them, the usual one with one after the other. */
const LONG = process.env['REGCACHE_LONG'] === '1';

/** How often a call fails, from the one chosen on. */
const LENGTHS = { once: 1, 'twice in a row': 2, 'until the fault is mended': Infinity } as const;

/** Every call that a cache makes of its two interfaces, and of the witness of its checking mode. */
const CALLS = [
  'monitor.watch',
  'monitor.unwatch',
  'monitor.drain',
  'monitor.whenPending',
  'monitor.stopPolling',
  'monitor.close',
  'registrar.prefault',
  'registrar.register',
  'registrar.deregister',
  'registrar.lkey',
  'registrar.rkey',
  'witness.frames',
  'witness.close',
] as const;
type Call = (typeof CALLS)[number];

interface Fault {
  call: Call;
  /** Number of the first call that fails, from 1 on. */
  first: number;
  length: number;
  errno: (typeof ERRNOS)[number];
}

/** Counts calls and lets some fail. */
class Faults {
  readonly calls = new Map<Call, number>(CALLS.map((call) => [call, 0]));
  readonly #fault: Fault | undefined;
  #mended = false;
  /** How often it has struck. */
  struck = 0;

  constructor(fault: Fault | undefined) {
    this.#fault = fault;
  }

  mend(): void {
    this.#mended = true;
  }

  /** Stands before a call. */
  meet(call: Call): void {
    const number = this.calls.get(call)! + 1;
    this.calls.set(call, number);
    const fault = this.#fault;
    if (fault === undefined || this.#mended || fault.call !== call) return;
    if (number < fault.first || number >= fault.first + fault.length) return;
    this.struck++;
    throw systemError(constants.errno[fault.errno], call);
  }

  /** Put this before some methods of an object. */
  beset<T extends object>(name: string, object: T, methods: readonly (string & keyof T)[]): T {
    for (const method of methods) {
      const original = (object[method] as (...args: unknown[]) => unknown).bind(object);
      Object.assign(object, {
        [method]: (...args: unknown[]) => {
          this.meet(`${name}.${method}` as Call);
          return original(...args);
        },
      });
    }
    return object;
  }
}

type Side = ReturnType<typeof makeSide>;

function makeSide(space: AddressSpace, registrar: ModelRegistrar, options: Parameters<typeof cacheOn>[2]) {
  return { ...cacheOn(space, registrar, options), counted: { hits: 0, misses: 0, uncached: 0 } };
}

/**
 * One run of the script: three caches on one monitor, one that merges, one that keeps remote rights, one that checks.
 * It goes through all that a cache does; a step that fails is left out.
 */
class Script {
  readonly faults: Faults;
  readonly #space = new AddressSpace();
  readonly #held: { side: Side; registration: Registration }[] = [];
  readonly #sides: Side[] = [];
  readonly #ends: Promise<void>[] = [];

  constructor(fault: Fault | undefined) {
    this.faults = new Faults(fault);
    const { monitor } = this.#space;
    monitor.generations = new Int32Array(8);
    this.#space.map(at(0), at(PAGES));
    this.faults.beset('monitor', monitor, ['watch', 'unwatch', 'drain', 'whenPending', 'close']);
    const whenPending = monitor.whenPending.bind(monitor);
    monitor.whenPending = (callback) => {
      const stop = whenPending(callback);
      return () => {
        this.faults.meet('monitor.stopPolling');
        stop();
      };
    };
  }

  #makeSides(): void {
    const methods = ['prefault', 'register', 'deregister', 'lkey', 'rkey'] as const;
    const witness: PageWitness & { close(): void } = {
      frames: (start, end) => BigUint64Array.from(this.#space.frames(start, end), BigInt),
      close: () => undefined,
    };
    this.faults.beset('witness', witness, ['frames', 'close']);
    const options = [
      { maxRegistrations: 4, merge: true },
      { maxPinnedBytes: at(6) - at(0), keepRemote: true },
      { witness },
    ];
    for (const option of options) {
      const registrar = this.faults.beset('registrar', new ModelRegistrar(this.#space), methods);
      this.#step(() => this.#sides.push(makeSide(this.#space, registrar, { eagerDrain: true, ...option })));
    }
  }

  /** Whatever goes wrong is told by an error of the package, and leaves everything as it should be. */
  #step(work: () => unknown): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof RegcacheError)) throw error;
      assert.ok(this.faults.struck > 0, error.message);
    }
    for (const side of this.#sides) this.#assertConsistent(side);
  }

  #acquire(
    side: Side,
    kind: 'pages' | 'pin' | 'uncached',
    first: number,
    end: number,
    access?: number,
  ): void {
    this.#step(() => {
      const { cache } = side;
      const known = side.registrar.history.length;
      const registration =
        kind === 'pages'
          ? side.pages(first, end, access)
          : kind === 'pin'
            ? cache.pin(range(first, end), access)
            : cache.acquireUncached(range(first, end), access);
      this.#held.push({ side, registration });
      if (kind === 'uncached' || cache.bypass) side.counted.uncached++;
      else if (side.registrar.history.slice(known).some(({ key }) => key === registration.lkey))
        side.counted.misses++;
      else side.counted.hits++;
      side.assertFresh(registration, first, end);
      assert.equal(registration.stale, false);
    });
  }

  /** Let go of all but the newest `keep`. */
  #release(keep = 0): void {
    while (this.#held.length > keep) {
      const { registration } = this.#held.shift()!;
      // A release never fails, whatever the device says.
      registration.release();
      for (const side of this.#sides) this.#assertConsistent(side);
    }
  }

  run(): void {
    const space = this.#space;
    this.#makeSides();
    for (const side of this.#sides) this.#useAll(side);
    for (const side of this.#sides) {
      this.#acquire(side, 'pages', 40, 42);
      this.#acquire(side, 'pages', 44, 45);
    }
    this.#release(1);
    space.map(at(40), at(45));
    for (const side of this.#sides) this.#acquire(side, 'pages', 40, 42);
    this.#release();
    for (const side of this.#sides) {
      this.#step(() => {
        side.cache.flush();
      });
    }
    for (const { cache } of this.#sides) {
      this.#step(() => {
        cache.close();
      });
    }
  }

  #useAll(side: Side): void {
    const { cache } = side;
    const space = this.#space;
    // Miss, hit, overlap, one that contains others; remote rights; memory that is only read.
    this.#acquire(side, 'pages', 0, 2);
    this.#acquire(side, 'pages', 1, 2);
    this.#acquire(side, 'pages', 1, 3);
    this.#release(1);
    this.#acquire(side, 'pages', 0, 4);
    this.#acquire(side, 'pages', 5, 6, REMOTE);
    this.#acquire(side, 'pages', 7, 8, Access.NONE);
    this.#release(1);
    this.#acquire(side, 'pages', 7, 8);
    // Changes of what is idle, of what is in use, and of what is just being made.
    space.map(at(1), at(2));
    space.map(at(7), at(8));
    this.#acquire(side, 'pages', 0, 4);
    let changes = 2;
    side.registrar.afterRegister = () => {
      if (changes-- > 0) space.map(at(10), at(11));
    };
    this.#acquire(side, 'pages', 10, 12);
    side.registrar.afterRegister = undefined;
    this.#step(() => {
      cache.drain();
    });
    this.#release();
    // Over the limits, with and without one that stays; smaller limits.
    for (let page = 14; page < 24; page += 2) this.#acquire(side, 'pages', page, page + 1);
    this.#acquire(side, 'pin', 14, 15);
    this.#release(1);
    for (let page = 24; page < 30; page += 2) {
      this.#acquire(side, 'pages', page, page + 1);
      this.#release(2);
    }
    this.#step(() => {
      cache.setLimits({ maxRegistrations: 2 });
    });
    this.#step(() => {
      cache.flush();
    });
    // Past the cache, and out of it.
    this.#acquire(side, 'uncached', 30, 31);
    this.#step(() => (cache.bypass = true));
    this.#acquire(side, 'pages', 14, 15);
    this.#step(() => (cache.bypass = false));
    this.#acquire(side, 'pages', 32, 34);
    this.#step(() => this.#ends.push(cache.invalidate(range(30, 33))));
    this.#release(1);
    space.unmap(at(33), at(34));
    this.#step(() => {
      cache.drain();
    });
    this.#release();
    space.map(at(33), at(34));
  }

  /** The fault is gone: what there is works as ever, everything can be given back, and nothing is left. */
  async mendAndEnd(): Promise<void> {
    this.faults.mend();
    for (const side of this.#sides) {
      if (isClosed(side)) continue;
      for (const page of [0, 14, 32]) this.#acquire(side, 'pages', page, page + 2);
      side.cache.drain();
      for (const page of [0, 14, 32]) this.#acquire(side, 'pages', page, page + 2);
    }
    this.#release();
    for (const { cache } of this.#sides) cache.close();
    await Promise.all(this.#ends);
    for (const side of this.#sides) side.assertNothingLeft();
    if (this.#sides.length > 0) assert.ok(this.#space.monitor.closed, 'the monitor is closed');
  }

  #assertConsistent({ cache, registrar, counted }: Side): void {
    const statistics = cache.statistics();
    const { hits, misses, uncached } = statistics;
    assert.deepEqual({ hits, misses, uncached }, counted);
    assert.equal(statistics.acquires, hits + misses + uncached);
    const pinned = [...registrar.pinned];
    assert.equal(statistics.registered, pinned.length);
    assert.equal(statistics.registrations, registrar.history.length);
    assert.equal(statistics.deregistrations, registrar.history.length - pinned.length);
    assert.equal(
      statistics.pinnedBytes,
      pinned.reduce((sum, { start, end }) => sum + end - start, 0),
    );
    const listed = cache.registrations().map(({ lkey }) => lkey);
    assert.equal(
      listed.sort().join(),
      pinned
        .map(({ key }) => key)
        .sort()
        .join(),
      'what is listed is what is pinned',
    );
    assert.equal(
      cache.sizes().reduce((sum, { registrations }) => sum + registrations, 0),
      pinned.length,
    );
    for (const { side, registration } of this.#held) {
      if (side.cache === cache)
        assert.ok(registrar.pinned.has(registrar.byKey(registration.lkey)), 'what is in use stays pinned');
    }
  }
}

function isClosed({ cache }: Side): boolean {
  try {
    cache.flush();
    return false;
  } catch {
    return true;
  }
}

describe('faults: every error at every step, and nothing leaked', () => {
  const calls = (() => {
    const script = new Script(undefined);
    script.run();
    return script.faults.calls;
  })();

  let turn = 0;

  it('goes through every call of the interfaces when nothing fails', async () => {
    const script = new Script(undefined);
    script.run();
    await script.mendAndEnd();
    for (const call of CALLS) assert.ok(script.faults.calls.get(call)! > 0, call);
  });

  for (const call of CALLS) {
    it(`${call}: each of ${calls.get(call)} calls fails`, async () => {
      for (const [name, length] of Object.entries(LENGTHS)) {
        for (let first = 1; first <= calls.get(call)!; first++) {
          for (const errno of LONG ? ERRNOS : [ERRNOS[turn++ % ERRNOS.length]]) {
            const script = new Script({ call, first, length, errno });
            try {
              script.run();
              assert.ok(script.faults.struck > 0, 'the fault has struck');
              await script.mendAndEnd();
            } catch (error) {
              throw new Error(`${errno} from call ${first} of ${call}, ${name}`, { cause: error });
            }
          }
        }
      }
    });
  }
});
