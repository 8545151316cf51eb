/** What the cache asks of whoever makes registrations: libibverbs in production, a model in a property test. */
export interface Registrar<Region = unknown> {
  /** Short name for messages and statistics, e.g. `'ibverbs:rxe0'`. */
  readonly kind: string;

  /**
   * Make sure that pinning will find every page in place, called before the range is watched: what changes a mapping
   * (a copy of a page on its first write, say) must be over when the watch begins. On the spot it is called before
   * another attempt, when one found the mapping changed or pages missing; after one that failed, to tell why; and
   * before the first one only where idle registrations would be given up for it, or where the device will only read.
   * @param write whether the device will write to the memory
   * @throws RegcacheError ERR_NOT_MAPPED, ERR_READ_ONLY_MEMORY
   */
  prefault?(start: number, length: number, write: boolean): void;

  /**
   * Pin `length` bytes from `start` on and make them visible to the device.
   * @param access bits of Access
   * @throws RegcacheError with `errno` when the device or the kernel refuses; nothing is pinned then
   */
  register(start: number, length: number, access: number): Region;

  /**
   * Unpin.
   * @throws RegcacheError when the device refuses; the region is then still registered and may be tried again
   */
  deregister(region: Region): void;

  /**
   * The same three on another thread, so that the event loop goes on; what fails rejects. What is left out is done on
   * the spot. Pages are put in place before each attempt here, as nobody waits for that.
   */
  prefaultAsync?(start: number, length: number, write: boolean): Promise<void>;
  registerAsync?(start: number, length: number, access: number): Promise<Region>;
  deregisterAsync?(region: Region): Promise<void>;

  /** Key for local use (scatter/gather entries). */
  lkey(region: Region): number;

  /** Key for the peer (remote read, write, atomics). */
  rkey(region: Region): number;
}
