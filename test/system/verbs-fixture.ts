import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import { map, unmap, bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import type { CompletionQueue } from '../../src/verbs/completion-queue.js';
import type { Context } from '../../src/verbs/context.js';
import { openDevice } from '../../src/verbs/device.js';
import type { MemoryRegion } from '../../src/verbs/memory-region.js';
import type { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import type { QueuePair, QueuePairOptions } from '../../src/verbs/queue-pair.js';
import type { WorkCompletion } from '../../src/verbs/work-completion.js';

export { PAGE_SIZE };

export const ALL_ACCESS =
  Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC;

/** Mapped memory, a view of it, and its registration. */
export interface RegisteredMemory {
  address: number;
  bytes: Buffer;
  region: MemoryRegion;
}

/** One side of a connection, with all it needs; `close()` takes it apart in the right order. */
export class Side {
  readonly context: Context = openDevice();
  readonly pd: ProtectionDomain = this.context.createProtectionDomain();
  readonly cq: CompletionQueue = this.context.createCompletionQueue({ entries: 64, events: true });
  readonly qp: QueuePair;
  readonly #memory: (RegisteredMemory & { length: number })[] = [];

  constructor(options: Partial<QueuePairOptions> = {}) {
    this.qp = this.pd.createQueuePair({ sendQueue: this.cq, ...options });
    this.qp.toInit();
  }

  /** Fresh pages, registered. */
  memory(length: number, access: number = ALL_ACCESS): RegisteredMemory {
    const address = map(length);
    const memory = {
      address,
      length,
      bytes: bytesAt(address, length),
      region: this.pd.register(address, length, access),
    };
    this.#memory.push(memory);
    return memory;
  }

  close(): void {
    this.qp.close();
    for (const { region, address, length } of this.#memory) {
      region.close();
      unmap(address, length);
    }
    this.cq.close();
    this.pd.close();
    this.context.close();
  }
}

/** Two sides connected to each other over the first device. */
export function connectedPair(options?: Partial<QueuePairOptions>): {
  a: Side;
  b: Side;
  [Symbol.dispose](): void;
} {
  const a = new Side(options);
  const b = new Side(options);
  a.qp.connect(b.qp.local);
  b.qp.connect(a.qp.local);
  return {
    a,
    b,
    [Symbol.dispose]() {
      a.close();
      b.close();
    },
  };
}

/** Poll until `count` completions arrived, or fail. */
export async function completions(
  cq: CompletionQueue,
  count: number,
  ms = 20_000,
): Promise<WorkCompletion[]> {
  const found: WorkCompletion[] = [];
  const deadline = Date.now() + ms;
  while (found.length < count) {
    found.push(...cq.poll());
    if (found.length >= count) break;
    assert.ok(Date.now() < deadline, `${found.length} of ${count} completions after ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return found;
}
