import { map, bytesAt, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import type { MemoryMonitor } from '../../src/monitor/monitor.js';
import type { Registrar } from '../../src/cache/registrar.js';

/** Watches nothing. Its counter is in a mapped page, as the driver's is, and never moves. */
export function nullMonitor(): MemoryMonitor {
  const page = map(PAGE_SIZE);
  const { buffer, byteOffset } = bytesAt(page, PAGE_SIZE);
  return {
    kind: 'null (mapped page, never moves)',
    counter: new Int32Array(buffer, byteOffset, 2),
    watch: () => true,
    unwatch: () => true,
    drain: (sink) => {
      sink.drainedTo(0, 0);
    },
    close: () => {
      unmap(page, PAGE_SIZE);
    },
  };
}

/** Registers nothing. */
export const nullRegistrar: Registrar<undefined> = {
  kind: 'null',
  register: () => undefined,
  deregister: () => undefined,
  lkey: () => 0,
  rkey: () => 0,
};
