import type { MemoryMonitor } from 'rdma-regcache';

/** Says that it watches, and reports nothing: registrations are kept whatever happens to the memory. */
export const KEPT: MemoryMonitor = {
  kind: 'kept',
  counter: new Int32Array(2),
  watch: () => true,
  unwatch: () => undefined,
  drain: (sink) => {
    sink.drainedTo(0, 0);
  },
  close: () => undefined,
};
