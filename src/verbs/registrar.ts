import { regcacheError } from '../errors.js';
import { checkRange } from '../memory/locate.js';
import { prefault, prefaultAsync } from '../memory/prefault.js';
import { MemoryRegion } from './memory-region.js';
import { ProtectionDomain } from './protection-domain.js';

/** What a registration cache needs of a protection domain. It does not own the protection domain. */
export class IbverbsRegistrar {
  /** `'ibverbs:'` and the name of the device. */
  readonly kind: string;
  readonly #pd: ProtectionDomain;

  /** @throws RegcacheError `ERR_INVALID_OPTION` */
  constructor(pd: ProtectionDomain) {
    if (!(pd instanceof ProtectionDomain)) {
      throw regcacheError('ERR_INVALID_OPTION', 'a registrar is made for a protection domain');
    }
    this.kind = `ibverbs:${pd.context.device.name}`;
    this.#pd = pd;
  }

  /**
   * Fault pages in before they are watched.
   * @param start first byte, page aligned
   * @param length bytes, whole pages
   * @throws RegcacheError `ERR_NOT_MAPPED`, `ERR_READ_ONLY_MEMORY`, `ERR_INVALID_ADDRESS`, `ERR_INVALID_LENGTH`
   */
  prefault(start: number, length: number, write: boolean): void {
    checkRange(start, length);
    prefault(start, length, write);
  }

  /** See `ProtectionDomain.register`. */
  register(start: number, length: number, access: number): MemoryRegion {
    return this.#pd.register(start, length, access);
  }

  /** @throws RegcacheError the error of ibv_dereg_mr(3); the region is then still registered */
  deregister(region: MemoryRegion): void {
    requireRegion(region).close();
  }

  /** The same three on another thread: the event loop goes on. */
  async prefaultAsync(start: number, length: number, write: boolean): Promise<void> {
    checkRange(start, length);
    return prefaultAsync(start, length, write);
  }

  registerAsync(start: number, length: number, access: number): Promise<MemoryRegion> {
    return this.#pd.registerAsync(start, length, access);
  }

  async deregisterAsync(region: MemoryRegion): Promise<void> {
    return requireRegion(region).closeAsync();
  }

  lkey(region: MemoryRegion): number {
    return requireRegion(region).lkey;
  }

  rkey(region: MemoryRegion): number {
    return requireRegion(region).rkey;
  }
}

function requireRegion(region: MemoryRegion): MemoryRegion {
  if (region instanceof MemoryRegion) return region;
  throw regcacheError('ERR_INVALID_OPTION', 'this is no memory region');
}
