import assert from 'node:assert/strict';
import koffi from 'koffi';
import { Access } from '../../src/access.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import { UmmunotifyMonitor } from '../../src/monitor/ummunotify.js';
import { map, unmap } from '../../src/system/mapping.js';
import type { Context } from '../../src/verbs/context.js';
import { LAYOUT } from '../../src/verbs/layout.js';
import type { MemoryRegion } from '../../src/verbs/memory-region.js';
import { IbverbsRegistrar } from '../../src/verbs/registrar.js';
import { needs } from '../needs.js';
import { pagesStay } from '../system/pages-stay.js';
import { requireStack } from '../system/stack.js';
import { completions, PAGE_SIZE, Side } from '../system/verbs-fixture.js';
import { kernelState, settlesAt, type KernelState } from './kernel-state.js';

const LENGTH = 4 * PAGE_SIZE;
const RIGHTS = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.MW_BIND;
const IBV_MW_TYPE_1 = 1;
const IBV_SEND_SIGNALED = 2;

/** ibv_alloc_mw(3), ibv_bind_mw(3) and ibv_dealloc_mw(3), which verbs.h has inline. */
function windows(context: Context) {
  const table = context.pointer + LAYOUT.ibv_context.ops;
  // They stand in this order, four places before poll_cq.
  const at = (place: number): number => table + LAYOUT.ibv_context_ops.poll_cq + (place - 4) * 8;
  const call = (place: number, ...parameters: string[]) =>
    koffi.decode(Number(koffi.decode.uint64(at(place))), koffi.proto('intptr_t', parameters)) as (
      ...args: (number | Buffer)[]
    ) => number;
  const alloc = call(0, 'uintptr_t', 'int');
  const bind = call(1, 'uintptr_t', 'uintptr_t', 'void *');
  const dealloc = call(2, 'uintptr_t');
  return {
    allocate: (side: Side): number => alloc(side.pd.pointer, IBV_MW_TYPE_1),
    async bind(side: Side, window: number, { pointer, address }: MemoryRegion): Promise<void> {
      const request = Buffer.alloc(48); // struct ibv_mw_bind
      request.writeUInt32LE(IBV_SEND_SIGNALED, 8);
      request.writeBigUInt64LE(BigInt(pointer), 16);
      request.writeBigUInt64LE(BigInt(address), 24);
      request.writeBigUInt64LE(BigInt(PAGE_SIZE), 32);
      request.writeUInt32LE(Access.REMOTE_WRITE, 40);
      assert.equal(bind(side.qp.pointer, window, request), 0);
      const [bound] = await completions(side.cq, 1);
      assert.deepEqual([bound.status, bound.opcode], ['SUCCESS', 'BIND_MW']);
    },
    free(window: number): void {
      assert.equal(dealloc(window), 0);
    },
  };
}

class NotingRegistrar extends IbverbsRegistrar {
  last: MemoryRegion | undefined;

  override register(start: number, length: number, access: number): MemoryRegion {
    return (this.last = super.register(start, length, access));
  }
}

describe('a memory region that the device does not let go of, as a memory window is bound to it', () => {
  requireStack();
  pagesStay();

  let side: Side;
  let registrar: NotingRegistrar;
  let cache: RegistrationCache;
  let window: number;
  let memory: number;
  let atFirst: KernelState;

  before(function () {
    side = new Side();
    needs(this, 'memory windows', side.context.queryDevice().maxMemoryWindows > 0);
  });
  after(() => {
    (side as Side | undefined)?.close();
  });

  beforeEach(async () => {
    atFirst = kernelState();
    if (side.qp.queryState() === 'INIT') side.qp.connect(side.qp.local);
    registrar = new NotingRegistrar(side.pd);
    cache = new RegistrationCache({ registrar, monitor: new UmmunotifyMonitor() });
    memory = map(LENGTH);
    const held = cache.acquireRange(memory, LENGTH, RIGHTS);
    window = windows(side.context).allocate(side);
    await windows(side.context).bind(side, window, registrar.last!);
    held.release();
  });
  afterEach(async () => {
    unmap(memory, LENGTH);
    await settlesAt(atFirst);
  });

  it('is kept and counted; the cache neither closes over it nor forgets it, and lets go when it can', () => {
    const { registered, pinnedBytes, deregistrations, deregistrationFailures } = cache.statistics();
    assert.deepEqual([registered, pinnedBytes, deregistrations], [1, LENGTH, 0]);
    assert.equal(deregistrationFailures, 1);
    assert.throws(
      () => {
        cache.close();
      },
      { code: 'ERR_BUSY', message: /refused to deregister 1 region/ },
    );
    assert.throws(() => {
      registrar.last!.close();
    }, /ibv_dereg_mr; the memory region stays open/);
    assert.equal(registrar.last!.closed, false);

    windows(side.context).free(window);
    cache.flush();
    assert.equal(registrar.last!.closed, true);
    assert.deepEqual([cache.statistics().registered, cache.statistics().pinnedBytes], [0, 0]);
    cache.close();
  });

  it('is tried again by the next miss, and is in the way of nobody', () => {
    const stuck = registrar.last!;
    const again = cache.acquireRange(memory, LENGTH, RIGHTS);
    assert.notEqual(registrar.last, stuck);
    assert.notEqual(again.rkey, stuck.rkey);
    assert.equal(cache.statistics().registered, 2);
    again.release();
    windows(side.context).free(window);
    cache.acquireRange(memory, PAGE_SIZE).release();
    assert.equal(stuck.closed, true);
    cache.close();
  });
});
