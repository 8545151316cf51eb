import { Access, type MemoryRegion, type ProtectionDomain } from 'rdma-regcache';

/** What goes wrong: registrations kept by address, with nobody to say that the address means other pages now. */
export class KeptRegistrations {
  readonly #pd: ProtectionDomain;
  readonly #byAddress = new Map<number, MemoryRegion>();

  constructor(pd: ProtectionDomain) {
    this.#pd = pd;
  }

  lkey(address: number, length: number): number {
    let region = this.#byAddress.get(address);
    if (region === undefined) {
      region = this.#pd.register(address, length, Access.LOCAL_WRITE);
      this.#byAddress.set(address, region);
    }
    return region.lkey;
  }

  close(): void {
    for (const region of this.#byAddress.values()) region.close();
    this.#byAddress.clear();
  }
}
