import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** At once, all of it unless told otherwise. */
export const collectGarbage = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

/** Whether the object is collected, given every chance. */
export async function isCollected(reference: WeakRef<object>): Promise<boolean> {
  for (let n = 0; n < 20 && reference.deref() !== undefined; n++) {
    await new Promise(setImmediate);
    collectGarbage();
  }
  return reference.deref() === undefined;
}
