import { threadId } from 'node:worker_threads';
import type { RegistrationCache } from '../cache/cache.js';
import type { SizeClass, Statistics } from '../cache/statistics.js';
import { noStatistics } from '../cache/statistics.js';

/** What a cache tells of itself. */
export interface PublishedCache {
  readonly name: string;
  /** Number of its thread; 0 is the main one. */
  readonly thread: number;
  /** Kind of its monitor. */
  readonly monitor: string;
  readonly statistics: Statistics;
  readonly sizes: readonly SizeClass[];
}

/** What a thread answers on its socket: one line of JSON. */
export interface Snapshot {
  readonly schema: 1;
  readonly pid: number;
  /** `process.title` and the program. */
  readonly title: string;
  readonly caches: readonly PublishedCache[];
}

export function snapshotOf(caches: ReadonlyMap<RegistrationCache, string>): Snapshot {
  const published = [...caches].map(([cache, name]) => ({
    name,
    thread: threadId,
    monitor: cache.monitorChoice.kind,
    statistics: cache.statistics(),
    sizes: cache.sizes(),
  }));
  const title = [process.title, process.argv[1] ?? ''].join(' ').trim();
  return { schema: 1, pid: process.pid, title, caches: published };
}

/** A snapshot, if a text is one. Unknown fields are left as they are: a newer package may have written them. */
export function parseSnapshot(text: string): Snapshot | undefined {
  try {
    const value = JSON.parse(text) as Snapshot;
    return isSnapshot(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const FIELDS = Object.keys(noStatistics()) as (keyof Statistics)[];

function isSnapshot(value: Snapshot): boolean {
  return (
    (value.schema as number) === 1 &&
    Number.isInteger(value.pid) &&
    typeof value.title === 'string' &&
    value.caches.every(
      ({ name, thread, monitor, statistics, sizes }) =>
        typeof name === 'string' &&
        Number.isInteger(thread) &&
        typeof monitor === 'string' &&
        FIELDS.every((field) => Number.isFinite(statistics[field])) &&
        Array.isArray(sizes),
    )
  );
}
