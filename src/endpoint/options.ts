import { RegistrationCache } from '../cache/cache.js';
import { checkBoolean, checkSignal, checkWhole, refuseOption, takeOptions } from '../options.js';
import { ProtectionDomain } from '../verbs/protection-domain.js';
import { type ConnectOptions, RETRIES, TIMING } from '../verbs/queue-pair.js';
import { regcacheError, shown } from '../errors.js';

/** What an endpoint is made with; timing in the units of ibv_modify_qp(3). */
export interface EndpointOptions extends ConnectOptions {
  /** Sends, writes, reads and atomics that are posted at once; more wait for their turn. Default 128. */
  sendDepth?: number;
  /** Buffers that messages are received into; 0: none, and each message goes where a `receive(memory)` says. Default 32. */
  receiveBuffers?: number;
  /** Bytes in each: the longest message that can be received. Default 65536. */
  receiveSize?: number;
  /** Without buffers: receives that are posted at once; more wait for their turn. Default 128. */
  receiveDepth?: number;
  /** Take in completions at calls of `poll()` alone, and not on the event loop. Default false. */
  polling?: boolean;
  /**
   * A protection domain of the device that the address belongs to, and a cache for it. By default all endpoints of this
   * thread over one device share one: what one peer may reach by an rkey, every peer of it may that knows the rkey.
   */
  protectionDomain?: ProtectionDomain;
  cache?: RegistrationCache;
}

export interface ConnectToOptions extends EndpointOptions {
  /** Name or address; it has to be that of a network interface with an RDMA device. */
  host: string;
  /** From 1 to 65535. */
  port: number;
  /** Gives up connecting. */
  signal?: AbortSignal;
}

export interface ListenOptions extends EndpointOptions {
  /** Name or address to listen at; default all of this machine. */
  host?: string;
  /** From 1 to 65535; 0, the default: one that is free. */
  port?: number;
  /** Connections that nobody has taken yet; more are refused. Default 128. */
  backlog?: number;
}

/** Those of an endpoint with nothing left out, but for those that have no default. */
export type CheckedOptions = Required<Omit<EndpointOptions, Optional>> & Pick<EndpointOptions, Optional>;
type Optional = 'protectionDomain' | 'cache';

const DEFAULTS = {
  sendDepth: 128,
  receiveBuffers: 32,
  receiveSize: 65_536,
  receiveDepth: 128,
  polling: false,
  // Seven attempts of half a second: a machine that is gone is noticed within seconds.
  timeout: 17,
  retries: RETRIES,
  receiverNotReadyRetries: 7,
  receiverNotReadyTimer: 12,
} as const satisfies Omit<CheckedOptions, Optional>;

const NAMES = [...Object.keys(DEFAULTS), 'protectionDomain', 'cache'];
/** A device says better what is too many for it. */
const MOST_REQUESTS = 0xffff;
const MOST_BYTES = 0x7fff_ffff;

export function takeConnectOptions(options: ConnectToOptions): {
  host: string;
  port: number;
  signal: AbortSignal | undefined;
  endpoint: CheckedOptions;
} {
  const { host, port, signal, ...rest } = takeOptions(options, [...NAMES, 'host', 'port', 'signal']);
  checkHost(host);
  checkWhole('port', port, 1, 0xffff);
  checkSignal(signal);
  return { host, port, signal, endpoint: check(rest) };
}

export function takeListenOptions(options: ListenOptions): {
  host: string;
  port: number;
  backlog: number;
  endpoint: CheckedOptions;
} {
  const taken = takeOptions(options, [...NAMES, 'host', 'port', 'backlog']);
  const { host = '0.0.0.0', port = 0, backlog = 128, ...rest } = taken;
  checkHost(host);
  checkWhole('port', port, 0, 0xffff);
  checkWhole('backlog', backlog, 1, MOST_REQUESTS);
  return { host, port, backlog, endpoint: check(rest) };
}

function checkHost(host: unknown): void {
  if (typeof host !== 'string' || host === '')
    refuseOption('host', `is a name or an address, not ${shown(host)}`);
}

function check(options: EndpointOptions): CheckedOptions {
  const checked: CheckedOptions = { ...DEFAULTS, ...options };
  checkWhole('sendDepth', checked.sendDepth, 1, MOST_REQUESTS);
  checkWhole('receiveBuffers', checked.receiveBuffers, 0, MOST_REQUESTS);
  checkWhole('receiveSize', checked.receiveSize, 1, MOST_BYTES);
  checkWhole('receiveDepth', checked.receiveDepth, 1, MOST_REQUESTS);
  checkBoolean('polling', checked.polling);
  for (const [name, most] of Object.entries(TIMING))
    checkWhole(name, checked[name as keyof typeof TIMING], 0, most);
  const { protectionDomain, cache } = checked;
  if (protectionDomain === undefined && cache === undefined) return checked;
  if (!(protectionDomain instanceof ProtectionDomain) || !(cache instanceof RegistrationCache)) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      'a protectionDomain and the cache that was made for it go together',
    );
  }
  return checked;
}
