import type { MemoryMonitor } from './monitor.js';

/** What a cache reads at every hit. */
export interface LiveViews {
  readonly counter: Int32Array;
  readonly generations?: Int32Array | undefined;
}

const VIEWS = new WeakMap<MemoryMonitor, () => LiveViews>();

/**
 * Give the views of a monitor to caches and nobody else: they show pages that the kernel writes, where a store ends the
 * process, and a transfer would part them from their addresses.
 */
export function showToCaches(monitor: MemoryMonitor, views: () => LiveViews): void {
  VIEWS.set(monitor, views);
}

/** Shows the views of a monitor of this package as they are then, or those that another one shows to everybody. */
export function viewerOf(monitor: MemoryMonitor): () => LiveViews {
  return VIEWS.get(monitor) ?? (() => monitor as LiveViews);
}

/** What {@link viewerOf} shows now. */
export function viewsOf(monitor: MemoryMonitor): LiveViews {
  return viewerOf(monitor)();
}
