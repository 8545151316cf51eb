import { checkRange, locate, type Location, type Memory } from '../memory/locate.js';
import { takeFields } from '../options.js';

/** Memory as an object, or a raw range of bytes, which the caller keeps mapped. */
export type Target = Memory | { readonly address: number; readonly length: number };

/** What is to be kept alive; nothing for a raw range. */
export const ownerOf = (target: Target): Memory | undefined => (isRaw(target) ? undefined : target);

/** Where it lies now. @throws ERR_NOT_MEMORY and the like, ERR_INVALID_ADDRESS, ERR_INVALID_LENGTH */
export function locationOf(target: Target): Location {
  if (isRaw(target)) {
    // Read once: what was checked is what is registered.
    const { address, length } = takeFields(target, ['address', 'length']);
    checkRange(address, length);
    return { address, length };
  }
  const location = { address: 0, length: 0 };
  locate(target, location);
  return location;
}

function isRaw(target: Target): target is Exclude<Target, Memory> {
  try {
    return 'address' in target;
  } catch {
    // No object, or a proxy that throws.
    return false;
  }
}
