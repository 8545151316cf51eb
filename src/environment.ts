import { regcacheError } from './errors.js';
import { MONITOR_NAMES, type MonitorName } from './monitor/choice.js';
import { warnOnce } from './warning.js';

/**
 * What an operator can set without touching the program. A variable stands in for the package's default; what the
 * program sets itself stays. An empty one counts as not set.
 */
export interface Settings {
  monitor?: MonitorName;
  device?: string;
  maxRegistrations?: number;
  maxPinnedBytes?: number;
  bypass?: boolean;
  checking?: boolean;
  publish?: boolean;
}

interface Variable<T> {
  readonly name: string;
  /** What it is set to, for people. */
  readonly values: string;
  /** What that does, in one line. */
  readonly meaning: string;
  /** The value of a text; undefined if it has none. */
  readonly parse: (text: string) => T | undefined;
}

type Variables = {
  readonly [Name in keyof Settings]-?: Variable<NonNullable<Settings[Name]>>;
};

/** The variables, by what they set. */
export const VARIABLES: Variables = {
  monitor: {
    name: 'RDMA_REGCACHE_MONITOR',
    values: MONITOR_NAMES.join(' | '),
    meaning: 'the monitor of caches whose program leaves the choice open',
    parse: (text) => MONITOR_NAMES.find((name) => name === text),
  },
  device: {
    name: 'RDMA_REGCACHE_DEVICE',
    values: 'PATH',
    meaning: "the driver's device (default /dev/ummunotify)",
    parse: (text) => (text.startsWith('/') ? text : undefined),
  },
  maxRegistrations: {
    name: 'RDMA_REGCACHE_MAX_REGISTRATIONS',
    values: 'N | unlimited',
    meaning: 'most registrations of a cache at a time (default 65536)',
    parse: (text) => (text === 'unlimited' ? Infinity : wholeNumber(text)),
  },
  maxPinnedBytes: {
    name: 'RDMA_REGCACHE_MAX_PINNED_BYTES',
    values: 'N[K|M|G|T] | unlimited',
    meaning: 'most bytes that a cache pins at a time, K = 1024 (default unlimited)',
    parse: (text) => (text === 'unlimited' ? Infinity : bytes(text)),
  },
  bypass: {
    name: 'RDMA_REGCACHE_BYPASS',
    values: '1 | 0',
    meaning: 'caches start with bypass on: nothing is reused, to see whether the cache is to blame',
    parse: flag,
  },
  checking: {
    name: 'RDMA_REGCACHE_CHECKING',
    values: '1 | 0',
    meaning: 'compare the page frames at every hit (as root; slow), for tests',
    parse: flag,
  },
  publish: {
    name: 'RDMA_REGCACHE_STATS',
    values: '1 | 0',
    meaning: 'let this user watch the statistics of caches with rdma-regcache stats',
    parse: flag,
  },
};

/** Begins the name of every variable above; another name that does is a slip. */
const PREFIX = 'RDMA_REGCACHE_';

/** Set by the virtual machine for the programs in it. */
const FOREIGN = new Set(['RDMA_REGCACHE_VM']);

/**
 * What the environment sets.
 * @throws ERR_INVALID_OPTION that names the variable
 */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Settings {
  const set = Object.entries(VARIABLES)
    .filter(([, { name }]) => isSet(env[name]))
    .map(([key, variable]) => [key, valueOf(variable, env[variable.name]!)] as const);
  return Object.fromEntries(set);
}

/**
 * What one variable sets, whatever is wrong with the others.
 * @throws ERR_INVALID_OPTION that names it
 */
export function readVariable<Name extends keyof Settings>(
  what: Name,
  env: NodeJS.ProcessEnv = process.env,
): Settings[Name] | undefined {
  const text = env[VARIABLES[what].name];
  return isSet(text) ? (valueOf(VARIABLES[what], text!) as Settings[Name]) : undefined;
}

/** Names with our prefix that nobody reads. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set(variableNames());
  return Object.keys(env).filter((name) => name.startsWith(PREFIX) && !known.has(name) && !FOREIGN.has(name));
}

/** Warn, once, of names with our prefix that nobody reads. */
export function warnOfSlips(env: NodeJS.ProcessEnv = process.env): void {
  const unknown = unknownVariables(env);
  if (unknown.length === 0) return;
  warnOnce(
    'RDMA_REGCACHE_UNKNOWN_VARIABLE',
    `${unknown.join(', ')}: there is no such variable; there are ${variableNames().join(', ')}`,
  );
}

const variableNames = (): string[] => Object.values(VARIABLES).map(({ name }) => name);

const isSet = (text: string | undefined): boolean => text !== undefined && text !== '';

function valueOf({ name, values, parse }: Variable<unknown>, text: string): unknown {
  const value = parse(text);
  if (value !== undefined) return value;
  throw regcacheError('ERR_INVALID_OPTION', `the environment variable ${name} is ${values}, not '${text}'`);
}

function wholeNumber(text: string): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  return Number.isSafeInteger(value) && value >= 1 ? value : undefined;
}

const SUFFIXES = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

function bytes(text: string): number | undefined {
  const factor = SUFFIXES[text.at(-1)!.toUpperCase() as keyof typeof SUFFIXES] as number | undefined;
  if (factor === undefined) return wholeNumber(text);
  const count = wholeNumber(text.slice(0, -1));
  return count === undefined ? undefined : wholeNumber(String(count * factor));
}

function flag(text: string): boolean | undefined {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  return /^(0|false|no|off)$/i.test(text) ? false : undefined;
}
