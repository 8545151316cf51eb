import { showToCaches } from './live-views.js';
import { checkSink, type DrainSink, type MemoryMonitor } from './monitor.js';

/**
 * Watches nothing. A cache on it keeps the promise in the one way that is left: each acquire makes a registration of its
 * own, which ends at its release. A change of the mapping while it is in use goes unnoticed.
 */
export class NoMonitor implements MemoryMonitor {
  readonly kind = 'none';

  constructor() {
    // Never moves.
    const counter = new Int32Array(2);
    showToCaches(this, () => ({ counter }));
  }

  watch(): false {
    return false;
  }

  unwatch(): void {
    // Nothing was ever watched.
  }

  drain(sink: DrainSink): void {
    checkSink(sink);
    sink.drainedTo(0, 0);
  }

  close(): void {
    // It holds nothing.
  }
}
