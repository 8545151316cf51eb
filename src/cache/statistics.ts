import type { Entry } from './registration.js';

/** What a cache has done since it was made. Counts, but for the fields that name a unit. */
export interface Statistics {
  /** Calls of acquire that were given a registration. */
  acquires: number;
  /** Acquires served from the cache. */
  hits: number;
  /** Acquires that made a registration. */
  misses: number;
  /** Acquires that went past the cache. */
  uncached: number;
  /** Registrations made of several, for the merge option. */
  merges: number;
  /** Registrations made at the device, also those not handed out. */
  registrations: number;
  deregistrations: number;
  /** Idle registrations given up for a limit or for want of resources. */
  evictions: number;
  /** Registrations given up because a newer one contains them. */
  replacements: number;
  /** Registrations retired because their mapping changed. */
  invalidations: number;
  /** Of those, the ones that were in use. */
  invalidatedInUse: number;
  /** Times the monitor was drained. */
  drains: number;
  /** Registrations thrown away because the mapping changed while they were made. */
  unstable: number;
  /** Attempts to register that the device or the kernel refused. */
  registrationFailures: number;
  deregistrationFailures: number;
  /** Registered now, idle or in use. */
  registered: number;
  /** Bytes pinned now. */
  pinnedBytes: number;
  /** Time spent registering, in microseconds: what a hit saves. */
  registrationMicroseconds: number;
  /** Time spent deregistering and unwatching, in microseconds. */
  deregistrationMicroseconds: number;
}

export const noStatistics = (): Statistics => ({
  acquires: 0,
  hits: 0,
  misses: 0,
  uncached: 0,
  merges: 0,
  registrations: 0,
  deregistrations: 0,
  evictions: 0,
  replacements: 0,
  invalidations: 0,
  invalidatedInUse: 0,
  drains: 0,
  unstable: 0,
  registrationFailures: 0,
  deregistrationFailures: 0,
  registered: 0,
  pinnedBytes: 0,
  registrationMicroseconds: 0,
  deregistrationMicroseconds: 0,
});

/** Registrations of about the same size. */
export interface SizeClass {
  /** Least length in bytes, a power of two; the class ends before the next one. */
  readonly from: number;
  readonly registrations: number;
  /** Their lengths together, in bytes. */
  readonly bytes: number;
}

export function sizeClasses(entries: Iterable<Entry>): SizeClass[] {
  const classes = new Map<number, { from: number; registrations: number; bytes: number }>();
  for (const { length } of entries) {
    const from = 2 ** Math.floor(Math.log2(length));
    const here = classes.get(from) ?? { from, registrations: 0, bytes: 0 };
    here.registrations++;
    here.bytes += length;
    classes.set(from, here);
  }
  return [...classes.values()].sort((a, b) => a.from - b.from);
}
