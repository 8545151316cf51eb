import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Whether the object is collected, given every chance. */
export async function isCollected(reference: WeakRef<object>): Promise<boolean> {
  for (let n = 0; n < 20 && reference.deref() !== undefined; n++) {
    await new Promise(setImmediate);
    collectGarbage();
  }
  return reference.deref() === undefined;
}
