import type { DrainSink, MemoryMonitor } from './monitor.js';

/**
 * Watches nothing. A cache on it keeps the promise in the one way that is left: each acquire makes a registration of its
 * own, which ends at its release. A change of the mapping while it is in use goes unnoticed.
 */
export class NoMonitor implements MemoryMonitor {
  readonly kind = 'none';
  /** Never moves. */
  readonly counter = new Int32Array(2);

  watch(): false {
    return false;
  }

  unwatch(): void {
    // Nothing was ever watched.
  }

  drain(sink: DrainSink): void {
    sink.drainedTo(0, 0);
  }

  close(): void {
    // It holds nothing.
  }
}
