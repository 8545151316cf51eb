import { createRequire } from 'node:module';
import type * as PromClient from 'prom-client';
import type { Counter, Gauge, Registry } from 'prom-client';
import { RegistrationCache } from './cache/cache.js';
import type { Statistics } from './cache/statistics.js';
import { regcacheError, shown } from './errors.js';
import { refuseOption, takeOptions } from './options.js';

export interface MetricsOptions {
  /**
   * Where the metrics are registered.
   * @default prom-client's own registry
   */
  register?: Registry;
  /**
   * Labels that tell this cache from others. All caches of one registry have the same names of labels; those whose
   * values are the same, too, are added up.
   */
  labels?: Readonly<Record<string, string>>;
}

/** Statistics that count, by the metric's name without `rdma_regcache_` and `_total`. */
const COUNTERS = {
  acquires: ['acquires', 'Acquires that were given a registration'],
  hits: ['hits', 'Acquires served from the cache'],
  misses: ['misses', 'Acquires that made a registration'],
  uncached: ['uncached', 'Acquires that went past the cache'],
  merges: ['merges', 'Registrations made of several'],
  registrations: ['registrations', 'Registrations made at the device'],
  deregistrations: ['deregistrations', 'Registrations undone at the device'],
  evictions: ['evictions', 'Idle registrations given up for a limit or for want of room'],
  replacements: ['replacements', 'Registrations given up because a newer one contains them'],
  invalidations: ['invalidations', 'Registrations retired because their mapping changed'],
  invalidatedInUse: ['invalidated_in_use', 'Of the invalidations, those of registrations in use'],
  drains: ['drains', 'Times that the events of the monitor were read'],
  unstable: ['unstable', 'Registrations thrown away because the mapping changed meanwhile'],
  registrationFailures: ['registration_failures', 'Registrations that the device or the kernel refused'],
  deregistrationFailures: ['deregistration_failures', 'Deregistrations that the device refused'],
  registrationMicroseconds: ['registration_seconds', 'Time spent registering'],
  deregistrationMicroseconds: ['deregistration_seconds', 'Time spent deregistering and unwatching'],
} as const satisfies Partial<Record<keyof Statistics, readonly [name: string, help: string]>>;

/** Those about now. */
const GAUGES = {
  registered: ['registered', 'Registrations now, idle and in use'],
  pinnedBytes: ['pinned_bytes', 'Bytes pinned now'],
} as const satisfies Record<Exclude<keyof Statistics, keyof typeof COUNTERS>, readonly [string, string]>;

type Labels = Readonly<Record<string, string>>;

/** A label of the metrics' own. */
const SIZE_LABEL = 'from_bytes';

/**
 * Loaded when it is needed, so that there is somebody to tell that it is missing.
 * @throws ERR_NO_PROM_CLIENT
 */
function promClient(): typeof PromClient {
  try {
    return createRequire(import.meta.url)('prom-client') as typeof PromClient;
  } catch (cause) {
    throw regcacheError(
      'ERR_NO_PROM_CLIENT',
      'prom-client, which the metrics are made with, cannot be loaded',
      {
        advice: 'npm install prom-client',
        cause,
      },
    );
  }
}

/** The metrics of a registry, and the caches that they are about. */
class Metrics {
  readonly #caches = new Map<RegistrationCache, Labels>();
  readonly #labelNames: readonly string[];
  readonly #made = new Set<object>();

  constructor({ Counter, Gauge }: typeof PromClient, registry: Registry, labelNames: readonly string[]) {
    this.#labelNames = labelNames;
    const registers = [registry];
    const each = (tell: (cache: RegistrationCache, labels: Labels) => void): void => {
      for (const [cache, labels] of this.#caches) {
        if (cache.closed) this.#caches.delete(cache);
        else tell(cache, labels);
      }
    };
    for (const [field, [short, help]] of Object.entries(COUNTERS) as [keyof Statistics, [string, string]][]) {
      const scale = field.endsWith('Microseconds') ? 1e-6 : 1;
      const name = `rdma_regcache_${short}_total`;
      const collect = function (this: Counter): void {
        this.reset();
        each((cache, labels) => {
          this.inc({ ...labels }, cache.statistics()[field] * scale);
        });
      };
      this.#made.add(new Counter({ name, help, labelNames: [...labelNames], registers, collect }));
    }
    for (const [field, [short, help]] of Object.entries(GAUGES) as [keyof Statistics, [string, string]][]) {
      const collect = function (this: Gauge): void {
        this.reset();
        each((cache, labels) => {
          this.inc({ ...labels }, cache.statistics()[field]);
        });
      };
      const name = `rdma_regcache_${short}`;
      this.#made.add(new Gauge({ name, help, labelNames: [...labelNames], registers, collect }));
    }
    // Not a histogram, whose counts may only grow: registrations come and go.
    const bySize = new Gauge({
      name: 'rdma_regcache_registered_by_size',
      help: 'Registrations now, by the least length in bytes, a power of two, of their class',
      labelNames: [...labelNames, SIZE_LABEL],
      registers,
      collect(): void {
        this.reset();
        each((cache, labels) => {
          for (const { from, registrations } of cache.sizes())
            this.inc({ ...labels, [SIZE_LABEL]: String(from) }, registrations);
        });
      },
    });
    this.#made.add(bySize);
  }

  /** Whether a registry has any of them still: all may be taken out of it (`clear`). */
  isIn(registry: Registry): boolean {
    return registry.getMetricsAsArray().some((metric) => this.#made.has(metric));
  }

  /** Whether none of the caches is open any more. */
  get over(): boolean {
    return [...this.#caches.keys()].every((cache) => cache.closed);
  }

  leave(registry: Registry): void {
    for (const { name } of registry.getMetricsAsArray().filter((metric) => this.#made.has(metric)))
      registry.removeSingleMetric(name);
  }

  /** @throws ERR_INVALID_OPTION unless it has the labels of the others */
  add(cache: RegistrationCache, labels: Labels): void {
    const names = Object.keys(labels).sort();
    if (names.join() !== this.#labelNames.join()) {
      refuseOption(
        'labels',
        `has the names of the registry's other caches: ${this.#labelNames.join(', ') || 'none'}`,
      );
    }
    this.#caches.set(cache, labels);
  }

  remove(cache: RegistrationCache): void {
    this.#caches.delete(cache);
  }
}

const metricsOf = new WeakMap<Registry, Metrics>();

/**
 * Have Prometheus metrics made of a cache's statistics, with prom-client, each time they are collected. A cache that
 * was closed is left out.
 * @returns a function that leaves it out from now on
 * @throws ERR_INVALID_OPTION, ERR_CLOSED, ERR_NO_PROM_CLIENT
 */
export function register(cache: RegistrationCache, options: MetricsOptions = {}): () => void {
  const taken = takeOptions(options, ['register', 'labels']);
  const labels = takeLabels(taken.labels);
  if (!(cache instanceof RegistrationCache)) refuseOption('cache', `is a cache, not ${shown(cache)}`);
  if (cache.closed) throw regcacheError('ERR_CLOSED', 'the cache was closed');
  const client = promClient();
  const { register: registry = client.register } = taken;
  const made = metricsOf.get(registry);
  // The labels are another's now.
  if (made?.over) made.leave(registry);
  const metrics = made?.isIn(registry) ? made : makeMetrics(client, registry, Object.keys(labels).sort());
  metrics.add(cache, labels);
  return () => {
    metrics.remove(cache);
  };
}

function makeMetrics(client: typeof PromClient, registry: Registry, labelNames: readonly string[]): Metrics {
  const had = namesIn(registry);
  let metrics: Metrics;
  try {
    metrics = new Metrics(client, registry, labelNames);
  } catch (cause) {
    for (const name of namesIn(registry)) if (!had.has(name)) registry.removeSingleMetric(name);
    throw regcacheError('ERR_INVALID_OPTION', 'option register takes no metrics of this package', {
      advice: 'it is a Registry of prom-client that has none of another copy of it; see the cause',
      cause,
    });
  }
  metricsOf.set(registry, metrics);
  return metrics;
}

/** None of what is no registry, as making metrics will tell. */
const namesIn = (registry: Registry): Set<string> =>
  new Set(
    typeof (registry as Partial<Registry> | undefined)?.getMetricsAsArray === 'function'
      ? registry.getMetricsAsArray().map(({ name }) => name)
      : [],
  );

/** Names that Prometheus has (its data model), and texts. @throws ERR_INVALID_OPTION */
function takeLabels(labels: unknown): Labels {
  if (labels === undefined) return {};
  if (typeof labels !== 'object' || labels === null || !isPlain(labels)) {
    refuseOption('labels', `is an object of names and texts, not ${shown(labels)}`);
  }
  for (const [name, value] of Object.entries(labels as Record<string, unknown>)) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || name === SIZE_LABEL) {
      refuseOption(
        'labels',
        `has names of letters, digits and _ that do not begin with a digit, and are not ${SIZE_LABEL}, which is taken; not ${shown(name)}`,
      );
    }
    if (typeof value !== 'string') refuseOption('labels', `has a text for ${name}, not ${shown(value)}`);
  }
  return { ...(labels as Labels) };
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === null || prototype === Object.prototype;
}
