import koffi from 'koffi';
import { systemError } from '../errors.js';
import { type Context } from './context.js';
import { libibverbs } from './library.js';
import { MemoryRegion } from './memory-region.js';
import { QueuePair, type QueuePairOptions } from './queue-pair.js';
import { MADE, pointerOf, Resource } from './resource.js';

/**
 * What belongs together: a queue pair reaches only memory regions of its own protection domain. Made by
 * `Context.createProtectionDomain`.
 *
 * `close()` refuses with ERR_BUSY while it has queue pairs or memory regions, also those that an idle cache keeps. A
 * cache that holds none does not keep it open: its next acquire that registers throws ERR_CLOSED. Close the cache first.
 */
export class ProtectionDomain extends Resource {
  readonly context: Context;

  constructor(context: Context) {
    super(MADE, 'protection domain', {
      pointer: allocate(pointerOf(context, 'device context')),
      parents: [context],
      destroyCall: 'ibv_dealloc_pd',
      destroy: (address) => libibverbs().deallocPd(address),
    });
    this.context = context;
  }

  /**
   * Register memory: pin it and make it visible to the device, until the region is closed. Takes a system call and,
   * on real devices, microseconds per page.
   * @param address first byte
   * @param length bytes, from 1
   * @param access bits of `Access`
   * @throws RegcacheError `ERR_INVALID_ADDRESS`, `ERR_INVALID_LENGTH`, `ERR_INVALID_ACCESS`, `ERR_NOT_MAPPED` (EFAULT),
   * `ERR_MEMLOCK_LIMIT` (ENOMEM explained by the limit), `ERR_READ_ONLY_MEMORY` (EACCES, EPERM), `ERR_CLOSED`, or the
   * error of ibv_reg_mr(3)
   */
  register(address: number, length: number, access: number): MemoryRegion {
    return MemoryRegion.register(this, address, length, access);
  }

  /**
   * The same on another thread: the event loop goes on. The protection domain stays open until then.
   * @throws what {@link register} throws
   */
  registerAsync(address: number, length: number, access: number): Promise<MemoryRegion> {
    return MemoryRegion.registerAsync(this, address, length, access);
  }

  /**
   * A reliable connected queue pair, in state RESET.
   * @throws RegcacheError `ERR_INVALID_OPTION`, `ERR_CLOSED`, or the error of ibv_create_qp(3)
   */
  createQueuePair(options: QueuePairOptions): QueuePair {
    return new QueuePair(this, options);
  }
}

function allocate(context: number): number {
  const pointer = libibverbs().allocPd(context);
  if (pointer === 0) throw systemError(koffi.errno(), 'ibv_alloc_pd');
  return pointer;
}
