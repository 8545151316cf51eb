import { prefault, prefaultAsync } from '../memory/prefault.js';
import type { MemoryRegion } from './memory-region.js';
import type { ProtectionDomain } from './protection-domain.js';

/** What a registration cache needs of a protection domain. It does not own the protection domain. */
export class IbverbsRegistrar {
  /** `'ibverbs:'` and the name of the device. */
  readonly kind: string;
  readonly #pd: ProtectionDomain;

  constructor(pd: ProtectionDomain) {
    this.kind = `ibverbs:${pd.context.device.name}`;
    this.#pd = pd;
  }

  /**
   * Fault pages in before they are watched.
   * @param start first byte, page aligned
   * @param length bytes, whole pages
   * @throws RegcacheError `ERR_NOT_MAPPED`, `ERR_READ_ONLY_MEMORY`
   */
  prefault(start: number, length: number, write: boolean): void {
    prefault(start, length, write);
  }

  /** See `ProtectionDomain.register`. */
  register(start: number, length: number, access: number): MemoryRegion {
    return this.#pd.register(start, length, access);
  }

  /** @throws RegcacheError the error of ibv_dereg_mr(3); the region is then still registered */
  deregister(region: MemoryRegion): void {
    region.close();
  }

  /** The same three on another thread: the event loop goes on. */
  prefaultAsync(start: number, length: number, write: boolean): Promise<void> {
    return prefaultAsync(start, length, write);
  }

  registerAsync(start: number, length: number, access: number): Promise<MemoryRegion> {
    return this.#pd.registerAsync(start, length, access);
  }

  deregisterAsync(region: MemoryRegion): Promise<void> {
    return region.closeAsync();
  }

  lkey(region: MemoryRegion): number {
    return region.lkey;
  }

  rkey(region: MemoryRegion): number {
    return region.rkey;
  }
}
