import { hasDevice } from '../native/vm/where.js';
import { openDevice } from '../src/verbs/device.js';
import { pinningLimit } from '../src/verbs/registration-error.js';
import { IbverbsRegistrar } from '../src/verbs/registrar.js';
import { PinningRegistrar } from './pinning-registrar.js';

/** For as long as the process lives: a device's, or, where there is none, one that pins all the same. */
export function openRegistrar(): IbverbsRegistrar | PinningRegistrar {
  return hasDevice() ? new IbverbsRegistrar(openDevice().createProtectionDomain()) : new PinningRegistrar();
}

/** @throws unless this process may pin so much */
export function requirePinning(bytes: number): void {
  const { limit, exempt } = pinningLimit();
  if (exempt || bytes <= limit) return;
  throw new Error(`this pins ${bytes / 1024} KiB, and may pin ${limit / 1024}: raise the limit (ulimit -l)`);
}
