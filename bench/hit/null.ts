import { map, bytesAt, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import type { MemoryMonitor } from '../../src/monitor/monitor.js';
import type { Registrar } from '../../src/cache/registrar.js';

/**
 * Watches nothing. Its counter is in a mapped page, as the driver's is, and moves when it is told to.
 * @param watched takes the cookies that were watched, to be reported by `changeAll`
 */
export function nullMonitor(watched?: number[]): MemoryMonitor & { counter: Int32Array; changeAll(): void } {
  const page = map(PAGE_SIZE);
  const { buffer, byteOffset } = bytesAt(page, PAGE_SIZE);
  const counter = new Int32Array(buffer, byteOffset, 2);
  let changed: number[] = [];
  return {
    kind: 'null (mapped page)',
    counter,
    watch: (_start, _end, cookie) => {
      watched?.push(cookie);
      return true;
    },
    unwatch: () => undefined,
    changeAll: () => {
      changed = watched?.splice(0) ?? [];
      counter[0] += 1;
    },
    drain: (sink) => {
      for (const cookie of changed) sink.invalidated(cookie, 0, 0);
      changed = [];
      sink.drainedTo(counter[0], counter[1]);
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
