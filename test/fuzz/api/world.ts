import * as api from '../../../src/index.js';
import type { Registrar } from '../../../src/index.js';
import { AddressSpace } from '../../model/address-space.js';

/** Where the calls are made: with what any machine has, or with the driver and a device. */
export type Setting = 'host' | 'device';

/** All that the calls of a run work on; what they return joins it. */
export class World {
  readonly objects: object[] = [];

  /** What has been made of a class, the latest last. */
  all<T extends object>(kind: { readonly prototype: T }): T[] {
    return this.objects.filter((object): object is T => object instanceof (kind as unknown as new () => T));
  }

  latest<T extends object>(kind: { readonly prototype: T }): T | undefined {
    return this.all(kind).at(-1);
  }

  add(...objects: object[]): void {
    for (const object of objects) if (!this.objects.includes(object)) this.objects.push(object);
  }

  /** Let go of everything, what was made last first, as often as it takes. What cannot be closed is left to the process. */
  async close(): Promise<void> {
    const registrations = this.objects.filter(
      (object): object is api.Registration => 'lkey' in object && 'release' in object,
    );
    for (const registration of registrations)
      for (
        let n = 0;
        n < 20 &&
        attempt(() => {
          registration.release();
        });
        n++
      );
    await new Promise(setImmediate);
    for (let pass = 0; pass < 3; pass++) {
      for (const object of [...this.objects].reverse()) {
        if ('close' in object && typeof object.close === 'function')
          attempt(() => {
            (object as { close(): void }).close();
          });
      }
      await new Promise(setImmediate);
    }
  }
}

function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** A device without hardware, which pins nothing. */
function nullRegistrar(): Registrar<{ key: number }> {
  let key = 0;
  return {
    kind: 'null',
    register: () => ({ key: ++key }),
    deregister: () => undefined,
    registerAsync: () => Promise.resolve({ key: ++key }),
    deregisterAsync: () => Promise.resolve(),
    lkey: (region) => region.key,
    rkey: (region) => region.key,
  };
}

export function makeWorld(setting: Setting): World {
  const world = new World();
  world.add(Buffer.alloc(100), new Uint8Array(5000), new ArrayBuffer(8192), new SharedArrayBuffer(100));
  world.add(api.allocatePageAligned(8192), new api.SendRequests(2, 2), new api.ReceiveRequests(2));
  const none = new api.NoMonitor();
  if (setting === 'host') {
    // A stand-in for a monitor that sees everything; nothing is promised of its own methods.
    for (const monitor of [new AddressSpace().monitor, none])
      world.add(new api.RegistrationCache({ monitor, registrar: nullRegistrar() }));
    world.add(none);
    return world;
  }
  const context = api.openDevice();
  const pd = context.createProtectionDomain();
  const cq = context.createCompletionQueue({ events: true, entries: 32 });
  const qp = pd.createQueuePair({
    sendQueue: cq,
    maxSends: 8,
    maxReceives: 8,
    maxSendSegments: 2,
    maxInline: 64,
  });
  world.add(context, pd, cq, qp, new api.UmmunotifyMonitor(), none);
  qp.connect(qp.toInit());
  const target = api.allocatePageAligned(8192);
  world.add(
    target,
    pd.register(api.addressOf(target), 8192, api.Access.LOCAL_WRITE | api.Access.REMOTE_WRITE),
  );
  world.add(api.createCache(pd), api.createCache(pd, { monitor: 'none' }));
  return world;
}
