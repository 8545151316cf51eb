import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Access } from '../../src/access.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { CacheLimits } from '../../src/cache/options.js';
import type { Registrar } from '../../src/cache/registrar.js';
import type { Registration } from '../../src/cache/registration.js';
import { systemError } from '../../src/errors.js';
import { addressOf } from '../../src/memory/locate.js';
import { pageCeil, pageFloor } from '../../src/memory/pages.js';
import type { PageWitness } from '../../src/memory/page-witness.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import type { ModelRegistrar } from '../model/address-space.js';
import { at, modelled } from './cache-fixture.js';

const REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE;
const CLOSED = { code: 'ERR_CLOSED' };

/** Two pages or more are large. */
function world(limits: CacheLimits & { witness?: PageWitness } = {}) {
  const all = modelled({
    registerOffThreadFrom: 2 * PAGE_SIZE,
    deregisterOffThreadFrom: 2 * PAGE_SIZE,
    ...limits,
  });
  return {
    ...all,
    /** Acquire pages `first` to `end` (exclusive), and see to it that a failure is somebody's. */
    later: (first: number, end: number, access?: number, signal?: AbortSignal): Promise<Registration> => {
      const length = at(end) - at(first);
      const target = { address: at(first), length };
      return noted(all.cache.acquireAsync(target, access, signal && { signal }));
    },
    /** Everything ends, and nothing is left. */
    end: async (): Promise<void> => {
      const done = all.cache.end();
      await all.registrar.goOn();
      await done;
      all.assertNothingLeft();
    },
  };
}

/** A promise whose rejection may be looked at later. */
function noted<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

const names = ({ calls }: ModelRegistrar): string[] => calls.map(({ name }) => name);

const refuse = (errno: number) => (): never => {
  throw systemError(errno, 'ibv_reg_mr');
};

describe('cache: acquireAsync', () => {
  it('faults in and registers by another thread what is large, and finds it then', async () => {
    const { cache, registrar, pages, later, assertFresh, end } = world();
    const wanted = later(0, 4);
    assert.deepEqual(names(registrar), ['prefault']);
    assert.equal(await registrar.go(), 'prefault');
    assert.equal(registrar.pinned.size, 0);
    assert.equal(await registrar.go(), 'register');
    const registration = await wanted;
    assertFresh(registration, 0, 4);
    assert.equal(pages(1, 2), registration);
    assert.equal(await later(1, 4), registration, 'a hit, at once');
    assert.deepEqual(names(registrar), []);
    const { hits, misses, acquires } = cache.statistics();
    assert.deepEqual({ hits, misses, acquires }, { hits: 2, misses: 1, acquires: 3 });
    for (let n = 0; n < 3; n++) registration.release();
    await end();
  });

  it('registers on the spot what is small', async () => {
    const { registrar, later, assertFresh } = world();
    assertFresh(await later(0, 1), 0, 1);
    assert.deepEqual(names(registrar), []);
  });

  it('registers on the spot with a registrar that knows no other way', async () => {
    const { monitor, registrar, assertFresh } = world();
    const simple: Registrar = {
      kind: 'simple',
      register: (...range) => registrar.register(...range),
      deregister: (region) => {
        registrar.deregister(region as never);
      },
      lkey: (region) => registrar.lkey(region as never),
      rkey: (region) => registrar.rkey(region as never),
    };
    const cache = new RegistrationCache({ monitor, registrar: simple, registerOffThreadFrom: 0 });
    using registration = await cache.acquireAsync({ address: at(0), length: 4 * PAGE_SIZE });
    assertFresh(registration, 0, 4);
  });

  it('faults in on the spot with a registrar that knows no other way', async () => {
    const { registrar, later, assertFresh } = world();
    Object.assign(registrar, { prefaultAsync: undefined });
    const wanted = later(0, 2);
    assert.deepEqual(await registrar.goOn(), ['register']);
    assertFresh(await wanted, 0, 2);
  });

  it('rejects what acquire throws for', async () => {
    const { cache, space, registrar, later, end } = world();
    await assert.rejects(cache.acquireAsync('memory' as never), { code: 'ERR_NOT_MEMORY' });
    await assert.rejects(cache.acquireAsync({ address: -1, length: 1 }), { code: 'ERR_INVALID_ADDRESS' });
    await assert.rejects(later(0, 4, -1), { code: 'ERR_INVALID_ACCESS' });
    space.unmap(at(1), at(2));
    const wanted = later(0, 4);
    await registrar.goOn();
    await assert.rejects(wanted, { code: 'ERR_NOT_MAPPED' });
    await end();
    await assert.rejects(later(0, 4), CLOSED);
  });

  it('faults in first, then watches, then registers', async () => {
    const { monitor, registrar, later } = world();
    void later(0, 2);
    assert.equal(monitor.watches.size, 0);
    await registrar.go();
    assert.equal(monitor.watches.size, 1, 'watched before the call begins');
    assert.deepEqual(names(registrar), ['register']);
  });

  it('keeps it unfound until it is known to be right', async () => {
    const { cache, registrar, later } = world();
    const wanted = later(0, 4);
    await registrar.go();
    assert.deepEqual(cache.registrations(), []);
    assert.deepEqual(cache.sizes(), []);
    await registrar.go();
    await wanted;
    assert.equal(cache.registrations().length, 1);
  });

  it('hands out what is mapped now, whenever that changed', async () => {
    const remap = (n: number, { space }: ReturnType<typeof world>) => {
      space.map(at(n), at(n + 1));
    };
    for (const before of ['prefault', 'register', 'never'] as const) {
      const all = world();
      const { registrar, later, assertFresh, cache, end } = all;
      const wanted = later(0, 4);
      for (const name of ['prefault', 'register'] as const) {
        if (before === name) remap(1, all);
        if (before === 'never' && name === 'register') {
          // After it was pinned, and before anybody is told.
          registrar.afterRegister = () => {
            registrar.afterRegister = undefined;
            remap(1, all);
          };
        }
        assert.equal(await registrar.go(), name);
      }
      await registrar.goOn();
      assertFresh(await wanted, 0, 4);
      assert.equal(cache.statistics().unstable, before === 'prefault' ? 0 : 1, before);
      (await wanted).release();
      await end();
    }
  });

  it('gives up when the mapping changes again and again', async () => {
    const { space, registrar, later, cache, end } = world();
    registrar.afterRegister = () => {
      space.map(at(0), at(1));
    };
    const wanted = later(0, 4);
    await registrar.goOn();
    await assert.rejects(wanted, { code: 'ERR_MAPPING_UNSTABLE', address: at(0), length: 4 * PAGE_SIZE });
    assert.equal(cache.statistics().unstable, 8);
    await end();
  });

  it('passes on what the monitor throws, and leaves nothing', async () => {
    for (const hook of ['beforeWatch', 'beforeDrain'] as const) {
      const { space, monitor, registrar, later, end } = world();
      const wanted = later(0, 4);
      monitor[hook] = refuse(constants.errno.EIO);
      if (hook === 'beforeDrain') {
        registrar.afterRegister = () => {
          space.map(at(0), at(1));
        };
      }
      await registrar.goOn();
      await assert.rejects(wanted, { code: 'EIO' });
      monitor[hook] = registrar.afterRegister = undefined;
      await end();
    }
  });

  it('is byte-exact with remote rights, and ends with the last release', async () => {
    const { cache, registrar, end } = world();
    const target = { address: at(0) + 100, length: 3 * PAGE_SIZE };
    const both = [cache.acquireAsync(target, REMOTE), cache.acquireAsync(target, REMOTE)];
    await registrar.goOn();
    const [one, other] = await Promise.all(both);
    assert.equal(one, other);
    assert.deepEqual([one.address, one.length], [target.address, target.length]);
    one.release();
    other.release();
    assert.deepEqual(names(registrar), ['deregister']);
    await end();
  });

  it('goes past the cache when the bypass is on', async () => {
    const { cache, registrar, later, end } = world();
    cache.bypass = true;
    const both = [later(0, 4), later(0, 4)];
    await registrar.goOn();
    const [one, other] = await Promise.all(both);
    assert.notEqual(one, other);
    assert.equal(cache.statistics().uncached, 2);
    one.release();
    other.release();
    await end();
  });

  it('gives each acquire an object of its own in checking mode', async () => {
    const witness: PageWitness = {
      frames: (start, stop) => BigUint64Array.from(all.space.frames(start, stop), BigInt),
    };
    const all = world({ witness });
    const wanted = all.later(0, 4);
    await all.registrar.goOn();
    const registration = await wanted;
    registration.release();
    assert.throws(() => {
      registration.release();
    }, /ERR_DOUBLE_RELEASE/);
    all.space.remapSilently(at(1), at(2));
    await assert.rejects(all.later(0, 4), { code: 'ERR_STALE_REGISTRATION' });
  });

  it('tells of it like of any other', async () => {
    const { cache, registrar, later } = world();
    const told: string[] = [];
    for (const event of ['register', 'retire'] as const) cache.on(event, () => told.push(event));
    const wanted = later(0, 4);
    await registrar.go();
    await registrar.go();
    await wanted;
    assert.deepEqual(told, ['register']);
  });
});

describe('cache: acquireAsync beside other acquires', () => {
  it('shares what is being made', async () => {
    const { registrar, later, end } = world();
    const all = [later(0, 6), later(0, 6), later(2, 4)];
    assert.deepEqual(await registrar.goOn(), ['prefault', 'register']);
    const [first, ...others] = await Promise.all(all);
    for (const other of others) assert.equal(other, first);
    for (let n = 0; n < 3; n++) first.release();
    await end();
  });

  it('makes another where what is being made does not serve', async () => {
    const { registrar, later } = world();
    const all = [
      later(0, 4),
      later(2, 6),
      later(2, 8, Access.NONE),
      later(0, 4, REMOTE),
      later(0, 3, REMOTE),
    ];
    await registrar.goOn();
    assert.equal(new Set(await Promise.all(all)).size, all.length);
    assert.equal(registrar.pinned.size, all.length);
  });

  it('tries by itself when what it waited for comes to nothing', async () => {
    const { registrar, later, assertFresh, end } = world();
    registrar.beforeRegister = () => {
      registrar.beforeRegister = undefined;
      refuse(constants.errno.EIO)();
    };
    const both = [later(0, 4), later(0, 4)];
    await registrar.goOn();
    await assert.rejects(both[0], { code: 'EIO' });
    const made = await both[1];
    assertFresh(made, 0, 4);
    made.release();
    await end();
  });

  it('does not wait for one that was called off', async () => {
    const { registrar, later, assertFresh, end } = world();
    const controller = new AbortController();
    const first = later(0, 4, Access.LOCAL_WRITE, controller.signal);
    controller.abort();
    const second = later(0, 4);
    await registrar.goOn();
    await assert.rejects(first, { name: 'AbortError' });
    assertFresh(await second, 0, 4);
    assert.equal(registrar.pinned.size, 1);
    (await second).release();
    await end();
  });

  for (const [first, stop] of [
    [0, 4],
    [0, 6],
  ] as const) {
    it(`takes what an acquire on the spot of pages ${first} to ${stop} has made meanwhile`, async () => {
      const { cache, registrar, pages, later, end } = world();
      const wanted = later(0, 4);
      await registrar.go();
      const faster = pages(first, stop);
      await registrar.goOn();
      assert.equal(await wanted, faster);
      assert.equal(registrar.pinned.size, 1);
      const { hits, misses } = cache.statistics();
      assert.deepEqual({ hits, misses }, { hits: 1, misses: 1 });
      faster.release();
      faster.release();
      await end();
    });
  }

  it('replaces what an acquire on the spot of a part has made meanwhile', async () => {
    const { cache, registrar, pages, later, end } = world();
    const wanted = later(0, 4);
    await registrar.go();
    const part = pages(1, 3);
    await registrar.go();
    const whole = await wanted;
    assert.equal(pages(1, 3), whole);
    whole.release();
    whole.release();
    part.release();
    assert.deepEqual(await registrar.goOn(), ['deregister']);
    assert.deepEqual(
      cache.registrations().map(({ address, length }) => [address, length]),
      [[at(0), 4 * PAGE_SIZE]],
    );
    await end();
  });

  it('lets overlaps be', async () => {
    const { registrar, pages, later } = world();
    const wanted = later(0, 4);
    await registrar.go();
    const overlap = pages(2, 6);
    await registrar.goOn();
    const made = await wanted;
    assert.equal(pages(0, 3), made);
    assert.equal(pages(3, 5), overlap);
  });

  it('merges with idle neighbours, if they can be had together', async () => {
    for (const together of [true, false]) {
      const { cache, registrar, pages, later, end } = world({ merge: true });
      pages(4, 6).release();
      if (!together) {
        registrar.beforeRegister = (start, stop) => {
          if (stop - start > 4 * PAGE_SIZE) refuse(constants.errno.EFAULT)();
        };
      }
      const wanted = later(0, 4);
      await registrar.goOn();
      const made = await wanted;
      assert.equal(made.length, (together ? 6 : 4) * PAGE_SIZE);
      assert.equal(cache.statistics().merges, together ? 1 : 0);
      assert.equal(registrar.pinned.size, together ? 1 : 2);
      made.release();
      await end();
    }
  });
});

describe('cache: limits and acquireAsync', () => {
  it('count what is being made', async () => {
    const { cache, registrar, pages, later } = world({ maxRegistrations: 2 });
    pages(10, 11).release();
    pages(11, 12).release();
    const wanted = later(0, 4);
    await registrar.go();
    assert.equal(registrar.pinned.size, 1, 'one made room for it');
    pages(12, 13).release();
    assert.equal(registrar.pinned.size, 1, 'so did the other for that one');
    await registrar.goOn();
    await wanted;
    assert.equal(cache.statistics().registered, 2);
  });

  it('count the bytes of what is being made', async () => {
    const { registrar, pages, later } = world({ maxPinnedBytes: 6 * PAGE_SIZE });
    pages(10, 11).release();
    void later(0, 4);
    await registrar.go();
    pages(11, 13);
    assert.equal(registrar.pinned.size, 1);
  });

  it('have it wait for what is on its way out before more is given up', async () => {
    const { cache, registrar, later } = world({ maxRegistrations: 2 });
    for (const first of [10, 20]) {
      const made = later(first, first + 2);
      await registrar.goOn();
      (await made).release();
    }
    const wanted = later(0, 4);
    await registrar.go();
    assert.deepEqual(names(registrar), ['deregister']);
    const more = later(30, 34);
    await registrar.go();
    assert.equal(cache.statistics().evictions, 1);
    assert.deepEqual(await registrar.goOn(), ['prefault', 'register', 'deregister', 'register']);
    await Promise.all([wanted, more]);
    assert.equal(cache.statistics().registered, 2);
  });

  it('that are lowered meanwhile are kept after the release', async () => {
    const { cache, registrar, pages, later, end } = world();
    const held = pages(10, 11);
    const wanted = later(0, 4);
    await registrar.go();
    cache.setLimits({ maxRegistrations: 1 });
    await registrar.go();
    (await wanted).release();
    await registrar.goOn();
    assert.equal(cache.statistics().registered, 1);
    held.release();
    await end();
  });

  it('of the device: idle registrations make room, oldest first', async () => {
    const { cache, registrar, pages, later, assertFresh } = world();
    pages(10, 12).release();
    pages(20, 21).release();
    registrar.beforeRegister = () => {
      if (registrar.pinned.size > 0) refuse(constants.errno.ENOMEM)();
    };
    const wanted = later(0, 4);
    assert.deepEqual(await registrar.goOn(), ['prefault', 'register', 'deregister', 'register', 'register']);
    assertFresh(await wanted, 0, 4);
    const { evictions, registrationFailures } = cache.statistics();
    assert.deepEqual({ evictions, registrationFailures }, { evictions: 2, registrationFailures: 2 });
  });

  it('of the device that nothing helps against are passed on with what is held', async () => {
    const { registrar, pages, later, end } = world();
    const held = pages(10, 11);
    registrar.beforeRegister = refuse(constants.errno.ENOMEM);
    const wanted = later(0, 4);
    await registrar.goOn();
    await assert.rejects(wanted, { code: 'ERR_REGISTRATION_FAILED', message: /1 registrations pin/ });
    held.release();
    await end();
  });
});

describe('cache: what happens while acquireAsync waits', () => {
  /** Each call of the other thread in turn, as what is waited for. */
  const STAGES = [0, 1] as const;

  for (const stage of STAGES) {
    const when = `while the other thread ${['faults in', 'registers'][stage]}`;

    it(`invalidate ${when}: has it made anew`, async () => {
      const { cache, registrar, later, assertFresh, end } = world();
      const wanted = later(0, 4);
      for (let n = 0; n < stage; n++) await registrar.go();
      const done = cache.invalidate({ address: at(1), length: 1 });
      let over = false;
      void done.then(() => (over = true));
      await registrar.go();
      assert.equal(over, stage === 0, 'settles when what was being made is gone');
      await registrar.goOn();
      await done;
      const made = await wanted;
      assertFresh(made, 0, 4);
      assert.equal(registrar.history.length, stage + 1);
      assert.equal(cache.statistics().unstable, 0);
      made.release();
      await end();
    });

    it(`flush ${when}: lets it be`, async () => {
      const { cache, registrar, later, pages } = world();
      const wanted = later(0, 4);
      for (let n = 0; n < stage; n++) await registrar.go();
      cache.flush();
      await registrar.goOn();
      assert.equal(pages(0, 4), await wanted);
    });

    it(`close ${when}: is refused`, async () => {
      const { cache, registrar, later, end } = world();
      const wanted = later(0, 4);
      for (let n = 0; n < stage; n++) await registrar.go();
      assert.throws(() => {
        cache.close();
      }, /ERR_BUSY.*end\(\)/);
      await registrar.goOn();
      (await wanted).release();
      await end();
    });

    it(`end ${when}: refuses it and waits`, async () => {
      const { cache, monitor, registrar, later, assertNothingLeft } = world();
      const wanted = later(0, 4);
      for (let n = 0; n < stage; n++) await registrar.go();
      const done = cache.end();
      await new Promise(setImmediate);
      assert.equal(monitor.closed, false);
      await registrar.goOn();
      await assert.rejects(wanted, CLOSED);
      await done;
      assert.ok(monitor.closed);
      assertNothingLeft();
    });

    it(`end that is called off ${when}: does it no harm`, async () => {
      const { cache, registrar, later, pages } = world();
      const wanted = later(0, 4);
      for (let n = 0; n < stage; n++) await registrar.go();
      await assert.rejects(cache.end({ signal: AbortSignal.abort() }), { name: 'AbortError' });
      await registrar.goOn();
      assert.equal(pages(0, 4), await wanted);
    });

    it(`an abort ${when}: rejects at once, and nothing is left`, async () => {
      const { registrar, later, monitor, end } = world();
      const controller = new AbortController();
      const wanted = later(0, 4, Access.LOCAL_WRITE, controller.signal);
      for (let n = 0; n < stage; n++) await registrar.go();
      controller.abort(new Error('enough'));
      await assert.rejects(wanted, { message: 'enough' });
      assert.deepEqual(await registrar.goOn(), stage === 0 ? ['prefault'] : ['register', 'deregister']);
      assert.equal(registrar.pinned.size, 0);
      assert.equal(monitor.watches.size, 0);
      await end();
    });

    it(`a transfer of the buffer ${when}: is told`, async () => {
      const { cache, space, registrar, end } = world();
      const buffer = new Uint8Array(4 * PAGE_SIZE);
      space.map(pageFloor(addressOf(buffer)), pageCeil(addressOf(buffer) + buffer.length));
      const wanted = noted(cache.acquireAsync(buffer));
      for (let n = 0; n < stage; n++) await registrar.go();
      const elsewhere = structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
      // Also where it is the lesser trouble.
      space.unmap(pageFloor(addressOf(elsewhere)), pageCeil(addressOf(elsewhere)) + PAGE_SIZE);
      await registrar.goOn();
      await assert.rejects(wanted, { code: 'ERR_DETACHED_BUFFER' });
      await end();
    });

    it(`a buffer that grows ${when}: is covered as it is then`, async () => {
      const { cache, space, registrar, end } = world();
      // Not in the types of ES2022.
      const Resizable = ArrayBuffer as unknown as new (
        length: number,
        options: { maxByteLength: number },
      ) => ArrayBuffer & { resize(length: number): void };
      const buffer = new Resizable(2 * PAGE_SIZE, { maxByteLength: 8 * PAGE_SIZE });
      space.map(addressOf(buffer), addressOf(buffer) + 8 * PAGE_SIZE);
      const wanted = cache.acquireAsync(buffer);
      for (let n = 0; n < stage; n++) await registrar.go();
      buffer.resize(8 * PAGE_SIZE);
      await registrar.goOn();
      const made = await wanted;
      assert.equal(made.length, 8 * PAGE_SIZE);
      made.release();
      await end();
    });
  }

  it('an abort that comes first: nothing is begun', async () => {
    const { registrar, later } = world();
    await assert.rejects(later(0, 4, Access.LOCAL_WRITE, AbortSignal.abort()), { name: 'AbortError' });
    assert.deepEqual(names(registrar), []);
  });

  it('an abort that comes too late: changes nothing', async () => {
    const { registrar, later, assertFresh } = world();
    const controller = new AbortController();
    const wanted = later(0, 4, Access.LOCAL_WRITE, controller.signal);
    await registrar.goOn();
    controller.abort();
    assertFresh(await wanted, 0, 4);
  });

  it('an abort in the same breath: somebody has it, or nobody', async () => {
    // At each of the microtasks between the end of the call and whoever waits for it.
    for (let ticks = 0; ticks < 12; ticks++) {
      const { cache, registrar, later, end } = world();
      const controller = new AbortController();
      const wanted = later(0, 4, Access.LOCAL_WRITE, controller.signal);
      await registrar.go();
      registrar.calls.shift()!.go();
      for (let n = 0; n < ticks; n++) await Promise.resolve();
      controller.abort();
      const made = await wanted.catch(() => undefined);
      await registrar.goOn();
      const inUse = cache.registrations().filter(({ uses }) => uses !== 0).length;
      assert.equal(inUse, made === undefined ? 0 : 1);
      made?.release();
      await end();
    }
  });
});
