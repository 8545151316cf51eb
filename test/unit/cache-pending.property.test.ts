import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Access } from '../../src/access.js';
import type { Registration } from '../../src/cache/registration.js';
import { RegcacheError, systemError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { at, modelled, PAGES } from './cache-fixture.js';

type Step =
  | { do: 'acquire'; first: number; pages: number; write: boolean }
  | { do: 'release'; which: number }
  | { do: 'remap' | 'unmap' | 'map'; first: number; pages: number }
  | { do: 'remapWhileRegistering'; first: number; pages: number; times: number }
  | { do: 'refuseRegistration' | 'refuseWatch' | 'refuseDeregistration' }
  | { do: 'drain' | 'flush' | 'bypass' }
  | { do: 'pin' | 'uncached'; first: number; pages: number }
  | { do: 'invalidate'; first: number; pages: number }
  | { do: 'limit'; registrations: number }
  | { do: 'acquireAsync'; first: number; pages: number; remote: boolean }
  | { do: 'go' }
  | { do: 'abort'; which: number };

const range = { first: fc.nat(PAGES - 1), pages: fc.integer({ min: 1, max: 12 }) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('acquire' as const), ...range, write: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('release' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('remap' as const, 'unmap', 'map'), ...range }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('remapWhileRegistering' as const),
      ...range,
      times: fc.integer({ min: 1, max: 10 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'refuseRegistration' as const,
        'refuseWatch',
        'refuseDeregistration',
        'drain',
        'flush',
        'bypass',
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('pin' as const, 'uncached', 'invalidate'), ...range }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      registrations: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('acquireAsync' as const), ...range, remote: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('go' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), which: fc.nat() }) },
);

/** Set REGCACHE_RUNS for the long run. */
const RUNS = Number(process.env['REGCACHE_RUNS'] ?? 200);

describe('cache: whatever happens while other threads register', () => {
  it('hands out only registrations that cover the request and pin what is mapped now, and leaks nothing', async function () {
    this.timeout(0);
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          maxRegistrations: fc.integer({ min: 1, max: 8 }),
          losesLast: fc.boolean(),
          generationWords: fc.constantFrom(0, 3, 64),
          merge: fc.boolean(),
          largeFrom: fc.integer({ min: 1, max: 4 }),
          // Who does it: caches of two protection domains share the monitor.
          steps: fc.array(fc.tuple(fc.nat(1), step), { minLength: 1, maxLength: 80, size: 'max' }),
        }),
        run,
      ),
      { numRuns: RUNS },
    );
  });
});

interface Scenario {
  maxRegistrations: number;
  losesLast: boolean;
  generationWords: number;
  merge: boolean;
  /** Pages from which on other threads register and deregister. */
  largeFrom: number;
  steps: [number, Step][];
}

async function run({ losesLast, generationWords, steps, ...habits }: Scenario): Promise<void> {
  const { maxRegistrations, merge, largeFrom } = habits;
  const off = {
    registerOffThreadFrom: largeFrom * PAGE_SIZE,
    deregisterOffThreadFrom: largeFrom * PAGE_SIZE,
  };
  const world = modelled({ maxRegistrations, merge, ...off }, generationWords);
  const { space, monitor } = world;
  monitor.losesLast = losesLast;
  const sides = [world, world.sharing({ maxRegistrations, ...off })].map((side) => ({
    ...side,
    held: [] as Registration[],
    aborts: [] as AbortController[],
    waiting: 0,
  }));
  type Side = (typeof sides)[number];
  const rangeOf = ({ first, pages }: { first: number; pages: number }) => {
    const end = Math.min(first + pages, PAGES);
    return { first, end, target: { address: at(first), length: at(end) - at(first) } };
  };
  const refuseOnce = ({ registrar }: Side, hook: 'beforeRegister' | 'beforeDeregister') => {
    registrar[hook] = () => {
      registrar[hook] = undefined;
      throw systemError(constants.errno.ENOMEM, hook);
    };
  };
  const checkReason = (error: unknown, expected: string[]) => {
    assert.ok(error instanceof RegcacheError, String(error));
    assert.ok(expected.includes(error.code), error.message);
  };
  /** What is handed out covers the pages and is fresh; what is refused has a reason. */
  const obtain = (side: Side, first: number, end: number, acquire: () => Registration) => {
    const mapped = !space.frames(at(first), at(end)).includes(0);
    try {
      const registration = acquire();
      side.held.push(registration);
      side.assertFresh(registration, first, end);
      assert.equal(registration.stale, false);
    } catch (error) {
      checkReason(
        error,
        mapped
          ? ['ERR_MAPPING_UNSTABLE', 'ERR_REGISTRATION_FAILED']
          : ['ERR_NOT_MAPPED', 'ERR_REGISTRATION_FAILED'],
      );
    }
    side.registrar.beforeRegister = side.registrar.afterRegister = undefined;
  };
  const failures: unknown[] = [];
  /** The same for one that is handed out in a later step, in which nothing but this happens. */
  const obtainLater = async (
    side: Side,
    { first, end, target }: ReturnType<typeof rangeOf>,
    access: number,
  ) => {
    const controller = new AbortController();
    side.aborts.push(controller);
    side.waiting++;
    try {
      const registration = await side.cache.acquireAsync(target, access, { signal: controller.signal });
      side.held.push(registration);
      side.assertFresh(registration, first, end);
      assert.ok(!registration.stale && !controller.signal.aborted);
    } catch (error) {
      if (error instanceof assert.AssertionError) failures.push(error);
      else if (controller.signal.aborted) assert.equal(error, controller.signal.reason);
      else checkReason(error, ['ERR_MAPPING_UNSTABLE', 'ERR_REGISTRATION_FAILED', 'ERR_NOT_MAPPED']);
    }
    side.waiting--;
  };

  for (const [who, now] of steps) {
    const side = sides[who];
    const { cache, registrar, held } = side;
    switch (now.do) {
      case 'acquire': {
        const { first, end } = rangeOf(now);
        obtain(side, first, end, () => side.pages(first, end, now.write ? Access.LOCAL_WRITE : Access.NONE));
        break;
      }
      case 'pin': {
        const { first, end, target } = rangeOf(now);
        obtain(side, first, end, () => cache.pin(target));
        break;
      }
      case 'uncached': {
        const { first, end, target } = rangeOf(now);
        obtain(side, first, end, () => cache.acquireUncached(target));
        break;
      }
      case 'invalidate': {
        const { target } = rangeOf(now);
        const before = registrar.history.length;
        void cache.invalidate(target);
        for (const { address, length, retired } of cache.registrations()) {
          if (address < target.address + target.length && address + length > target.address)
            assert.ok(retired, 'is handed out no more');
        }
        assert.equal(registrar.history.length, before);
        break;
      }
      case 'limit':
        cache.setLimits({ maxRegistrations: now.registrations });
        break;
      case 'bypass':
        cache.bypass = !cache.bypass;
        break;
      case 'release':
        if (held.length > 0) held.splice(now.which % held.length, 1)[0].release();
        break;
      case 'remap':
      case 'map':
        space.map(at(now.first), at(rangeOf(now).end));
        break;
      case 'unmap':
        space.unmap(at(now.first), at(rangeOf(now).end));
        break;
      case 'remapWhileRegistering': {
        let left = now.times;
        registrar.afterRegister = () => {
          if (left-- > 0) space.map(at(now.first), at(rangeOf(now).end));
        };
        break;
      }
      case 'refuseRegistration':
        refuseOnce(side, 'beforeRegister');
        break;
      case 'refuseDeregistration':
        refuseOnce(side, 'beforeDeregister');
        break;
      case 'refuseWatch':
        monitor.beforeWatch = () => {
          monitor.beforeWatch = undefined;
          throw systemError(constants.errno.ENOSPC, 'watch');
        };
        break;
      case 'acquireAsync': {
        const access = Access.LOCAL_WRITE | (now.remote ? Access.REMOTE_READ : 0);
        obtainLater(side, rangeOf(now), access).catch((error: unknown) => failures.push(error));
        break;
      }
      case 'go':
        await registrar.go();
        break;
      case 'abort':
        side.aborts[now.which % side.aborts.length]?.abort();
        break;
      case 'drain':
        cache.drain();
        break;
      case 'flush':
        cache.flush();
        break;
    }
    await turn();
    assert.deepEqual(failures, []);
    for (const each of sides) assertConsistent(each);
  }
  monitor.beforeWatch = undefined;
  for (const { registrar, held, cache } of sides) {
    registrar.beforeRegister = registrar.afterRegister = registrar.beforeDeregister = undefined;
    await registrar.goOn();
    for (const registration of held) registration.release();
    const done = cache.end();
    await registrar.goOn();
    await done;
    assert.equal(registrar.pinned.size, 0);
  }
  for (const { waiting } of sides) assert.equal(waiting, 0);
  assert.deepEqual(failures, []);
  assert.ok(monitor.closed);
  for (const side of sides) side.assertNothingLeft();
}

function assertConsistent({ cache, registrar, held }: Checked): void {
  const { registered, deregistrationFailures, pinnedBytes } = cache.statistics();
  assert.equal(registered, registrar.pinned.size);
  assert.equal(
    pinnedBytes,
    [...registrar.pinned].reduce((sum, region) => sum + region.end - region.start, 0),
  );
  assert.equal(cache.registrations().length, registered);
  // Over the limit only by what is in use (or what the device would not let go of, once per refusal), and by what another
  // thread is about to let go of.
  const leaving = registrar.calls.filter(({ name }) => name === 'deregister').length;
  const inUse = new Set(held.map(({ lkey }) => lkey)).size;
  assert.ok(
    registered <= Math.max(cache.limits.maxRegistrations, inUse) + deregistrationFailures + leaving,
    'limits',
  );
  for (const registration of held) {
    assert.ok(registrar.pinned.has(registrar.byKey(registration.lkey)), 'what is in use stays pinned');
  }
}

type Checked = Pick<ReturnType<typeof modelled>, 'cache' | 'registrar'> & { held: readonly Registration[] };
