import { regcacheError, shown } from '../errors.js';
import type { MonitorChoice } from '../monitor/choice.js';
import { viewsOf } from '../monitor/live-views.js';
import type { MemoryMonitor } from '../monitor/monitor.js';
import type { PageWitness } from '../memory/page-witness.js';
import { checkBoolean, refuseOption as refuse, takeFields, takeOptions } from '../options.js';
import type { Registrar } from './registrar.js';

/** Limits and habits of a cache. */
export interface CacheLimits {
  /**
   * Most registrations at a time; more only as long as they are in use. A device has a limit of its own (`max_mr`).
   * @default 65536
   */
  maxRegistrations?: number;
  /**
   * Most bytes pinned at a time; more only as long as they are in use.
   * @default Infinity
   */
  maxPinnedBytes?: number;
  /**
   * Keep registrations with remote rights when they are idle. A peer that knows an rkey can then reach the memory
   * until it is unmapped or the registration evicted.
   * @default false
   */
  keepRemote?: boolean;
  /**
   * Register an overlap or a neighbour of idle registrations together with them, as one. Fewer and larger
   * registrations, but memory is unpinned only when all of it goes.
   * @default false
   */
  merge?: boolean;
  /**
   * Longest time, in milliseconds, that an acquire or an event spends deregistering what went stale; the rest follows
   * in turns of the event loop. Infinity: all at once.
   * @default 5
   */
  deregisterFor?: number;
  /**
   * Least length in bytes that acquireAsync has registered by another thread; less is registered on the spot. Infinity:
   * never. The default is where registering takes as long as calls of another thread hold up the event loop, in
   * `npm run bench -- off-thread`: at 64 MiB the event loop stands still for 0.4 times as long as without, at 1 GiB for
   * 0.1.
   * @default 16 MiB
   */
  registerOffThreadFrom?: number;
  /**
   * Least bytes pinned by a registration that another thread deregisters, unless what it holds is needed on the spot.
   * Infinity: never. In `npm run bench -- off-thread`, of pages of 4 KiB in a slow virtual machine, 64 MiB take 3 ms and
   * 256 MiB 12: a turn of `deregisterFor` and the one that ends it stay below 10 ms together.
   * @default 64 MiB
   */
  deregisterOffThreadFrom?: number;
  /**
   * Drain from the event loop too, so that memory unmapped while the cache is idle is unpinned soon.
   * @default true
   */
  eagerDrain?: boolean;
}

/** What a cache is made of, for who brings a monitor or a registrar; `createCache` chooses both. */
export interface CacheOptions extends CacheLimits {
  /** Closed together with the last cache on it. */
  monitor: MemoryMonitor;
  /** How it came to be this one, for `cache.monitorChoice`. */
  monitorChoice?: MonitorChoice;
  registrar: Registrar;
  /**
   * Checks at each acquire that the pages are still the pinned ones, and throws ERR_STALE_REGISTRATION otherwise. Slow;
   * for tests of the cache, its monitor and the kernel.
   */
  witness?: PageWitness;
}

/** The limits that can be changed while a cache is open. */
export type ChangeableLimits = Pick<CacheLimits, 'maxRegistrations' | 'maxPinnedBytes'>;

const DEFAULTS = {
  maxRegistrations: 65_536,
  maxPinnedBytes: Infinity,
  keepRemote: false,
  merge: false,
  deregisterFor: 5,
  registerOffThreadFrom: 16 * 2 ** 20,
  deregisterOffThreadFrom: 64 * 2 ** 20,
  eagerDrain: true,
} as const satisfies Required<CacheLimits>;

/** Names of the limits and habits. */
export const LIMITS: readonly string[] = Object.keys(DEFAULTS);
/** Those that can be changed. */
export const CHANGEABLE: readonly string[] = ['maxRegistrations', 'maxPinnedBytes'];

const KNOWN = [...LIMITS, 'monitor', 'monitorChoice', 'registrar', 'witness'];

/** Options with nothing left out, but for those that have no default. */
export type CheckedOptions = Required<Omit<CacheOptions, Optional>> & Pick<CacheOptions, Optional>;
type Optional = 'witness' | 'monitorChoice';

/**
 * Fill in what was left out.
 * @throws ERR_INVALID_OPTION for unknown names and values out of range
 */
export function checkOptions(options: CacheOptions): CheckedOptions {
  const { monitor, registrar } = takeFields(options, ['monitor', 'registrar']);
  const named = typeof monitor === 'string';
  if (named || ((monitor as unknown) === undefined && (registrar as unknown) === undefined)) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      named
        ? `option monitor is an object that watches memory, not ${shown(monitor)}`
        : 'a cache is made of a monitor and a registrar',
      { advice: 'createCache(protectionDomain, { monitor }) takes names, and finds the rest itself' },
    );
  }
  const checked: CheckedOptions = { ...DEFAULTS, ...takeOptions(options, KNOWN) };
  checkObject('monitor', checked.monitor, ['watch', 'unwatch', 'drain', 'close']);
  const { counter } = takeFields(viewsOf(checked.monitor), ['counter']);
  if (!(counter instanceof Int32Array && counter.length >= 2)) {
    refuse('monitor', 'has no counter, an Int32Array of two words');
  }
  checkObject('registrar', checked.registrar, ['register', 'deregister', 'lkey', 'rkey']);
  if (checked.witness !== undefined) checkObject('witness', checked.witness, ['frames']);
  checkLimits(checked);
  if (!(typeof checked.deregisterFor === 'number' && checked.deregisterFor >= 0))
    refuse('deregisterFor', `is a number of milliseconds, not ${shown(checked.deregisterFor)}`);
  checkLimit('registerOffThreadFrom', checked.registerOffThreadFrom, 0);
  checkLimit('deregisterOffThreadFrom', checked.deregisterOffThreadFrom, 0);
  checkBoolean('keepRemote', checked.keepRemote);
  checkBoolean('merge', checked.merge);
  checkBoolean('eagerDrain', checked.eagerDrain);
  return checked;
}

/** @throws ERR_INVALID_OPTION */
export function checkLimits({ maxRegistrations, maxPinnedBytes }: Required<ChangeableLimits>): void {
  checkLimit('maxRegistrations', maxRegistrations, 1);
  checkLimit('maxPinnedBytes', maxPinnedBytes, 1);
}

function checkObject(name: string, value: unknown, methods: readonly string[]): void {
  if (typeof value !== 'object' || value === null) refuse(name, 'is missing');
  const has = takeFields(value, methods) as Record<string, unknown>;
  for (const method of methods) {
    if (typeof has[method] !== 'function') refuse(name, `has no ${method}()`);
  }
}

function checkLimit(name: string, value: unknown, least: number): void {
  if (value === Infinity || (Number.isSafeInteger(value) && (value as number) >= least)) return;
  refuse(name, `is a whole number from ${least} on, or Infinity, not ${shown(value)}`);
}
