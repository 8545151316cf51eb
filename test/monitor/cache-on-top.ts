import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import type { Registrar } from '../../src/cache/registrar.js';
import type { Registration } from '../../src/cache/registration.js';
import type { MemoryMonitor } from '../../src/monitor/monitor.js';
import { MADV_DONTNEED, madvise } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE } from '../../src/system/mapping.js';
import { mapApart, unmapApart } from '../map-apart.js';
import { Zapper } from '../system/zapper-thread.js';
import { CHANGES } from './changes.js';
import { type Conforming, until } from './conformance.js';

/** What registrations are made with, and what sees by them. */
export interface Device<Region = unknown> extends Registrar<Region> {
  /** The bytes that it finds there by a registration. */
  read(registration: Registration, address: number, length: number): Buffer | Promise<Buffer>;
  close(): void;
}

/** A cache over a monitor, and a device. */
export class Stand {
  readonly cache: RegistrationCache;
  readonly #device: Device;

  constructor(monitor: MemoryMonitor, device: Device) {
    this.#device = device;
    this.cache = new RegistrationCache({ monitor, registrar: device });
  }

  /** Acquire pages, and see whether the device finds what is in them. */
  async assertFresh(address: number, pages: number, when: string): Promise<void> {
    const length = pages * PAGE_SIZE;
    using registration = this.cache.acquireRange(address, length, Access.LOCAL_WRITE);
    const seen = await this.#device.read(registration, address, length);
    assert.ok(
      seen.equals(bytesAt(address, length)),
      `${when}: the device finds ${JSON.stringify(seen.toString('latin1', 0, 16))}`,
    );
  }

  get registered(): number {
    return this.cache.statistics().registered;
  }

  [Symbol.dispose](): void {
    this.cache.close();
    this.#device.close();
  }
}

/** What the cache promises, with a monitor that keeps its own promises. */
export function cacheOnTop({ title, open, hooks = false }: Conforming, device: () => Device): void {
  describe(`${title}: a cache on top of it`, () => {
    let stand: Stand;
    let address: number;
    beforeEach(() => {
      stand = new Stand(open(), device());
      address = mapApart(4 * PAGE_SIZE);
    });
    afterEach(() => {
      stand[Symbol.dispose]();
      unmapApart(address, 4 * PAGE_SIZE);
    });

    it('keeps a registration as long as nothing changes', async () => {
      for (let n = 0; n < 10; n++) {
        bytesAt(address, PAGE_SIZE).fill(`write ${n}; `);
        await stand.assertFresh(address, 1, `write ${n}`);
      }
      const { registrations } = stand.cache.statistics();
      assert.equal(registrations, 1);
    });

    for (const [name, change] of Object.entries(CHANGES)) {
      if (hooks && change.kernelOnly) continue;
      it(`hands out a new registration after ${name}`, async () => {
        const memory = mapApart(4 * PAGE_SIZE, change.flags === undefined ? {} : { flags: change.flags });
        for (let round = 0; round < 3; round++) {
          const second = memory + PAGE_SIZE;
          bytesAt(second, PAGE_SIZE).fill(`before ${round}; `);
          await stand.assertFresh(second, 1, 'before');
          // All four are there for each round.
          change.make(memory);
          for (let page = 0; change.unmaps && page < 4; page++) {
            if (page === 1 || change.hit) map(PAGE_SIZE, { at: memory + page * PAGE_SIZE, replace: true });
          }
          bytesAt(second, PAGE_SIZE).fill(`after ${round}; `);
          await stand.assertFresh(second, 1, 'after');
        }
        unmapApart(memory, 4 * PAGE_SIZE);
      });
    }

    it('hands out a new one when another thread has dropped the page, as soon as that knows it', async () => {
      const zapper = new Zapper(address, PAGE_SIZE);
      await zapper.ready();
      for (let round = 0; round < 100; round++) {
        bytesAt(address, PAGE_SIZE).fill(`before ${round}; `);
        await stand.assertFresh(address, 2, `round ${round}`);
        zapper.start();
        zapper.join();
        bytesAt(address, PAGE_SIZE).fill(`after ${round}; `);
        await stand.assertFresh(address, 2, `round ${round}`);
      }
      await zapper.end();
    });

    it('lets go from the event loop of what was unmapped while it was idle', async () => {
      await stand.assertFresh(address, 2, 'before');
      bytesAt(address, PAGE_SIZE).fill(1);
      madvise(address, PAGE_SIZE, MADV_DONTNEED);
      await until(() => stand.registered === 0);
      assert.equal(stand.registered, 0);
    });
  });
}
