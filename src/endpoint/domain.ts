import type { RegistrationCache } from '../cache/cache.js';
import { createCache } from '../create-cache.js';
import { regcacheError } from '../errors.js';
import type { Context } from '../verbs/context.js';
import { openDevice } from '../verbs/device.js';
import type { ProtectionDomain } from '../verbs/protection-domain.js';
import type { CheckedOptions } from './options.js';
import { takeBack } from './take-back.js';

/** What the endpoints over one device share: a protection domain and its cache. */
export interface Domain {
  readonly protectionDomain: ProtectionDomain;
  readonly cache: RegistrationCache;
  /**
   * To be called once. Settles when what nobody uses any more is closed; does not wait for registrations that the program
   * itself has acquired from the cache, with the last of which all is closed.
   */
  release(): Promise<void>;
}

/**
 * Those that the program gave, or this thread's for a device, open as long as somebody holds them.
 * @throws what `openDevice` and `createCache` throw; ERR_INVALID_OPTION if those given are of another device
 */
export function holdDomain(device: string, { protectionDomain, cache }: CheckedOptions): Domain {
  if (protectionDomain === undefined || cache === undefined) return SharedDomain.hold(device);
  const { name } = protectionDomain.context.device;
  if (name !== device) {
    throw regcacheError(
      'ERR_INVALID_OPTION',
      `the protection domain is of ${name}, and the address belongs to ${device}`,
    );
  }
  return { protectionDomain, cache, release: () => Promise.resolve() };
}

class SharedDomain {
  static readonly #open = new Map<string, SharedDomain>();
  readonly #device: string;
  readonly #context: Context;
  readonly protectionDomain: ProtectionDomain;
  readonly cache: RegistrationCache;
  #holders = 0;

  private constructor(device: string) {
    this.#device = device;
    this.#context = openDevice(device);
    const made: { close(): void }[] = [this.#context];
    try {
      this.protectionDomain = this.#context.createProtectionDomain();
      made.push(this.protectionDomain);
      this.cache = createCache(this.protectionDomain);
    } catch (error) {
      takeBack(made);
      throw error;
    }
  }

  static hold(device: string): Domain {
    let domain = SharedDomain.#open.get(device);
    if (domain === undefined) SharedDomain.#open.set(device, (domain = new SharedDomain(device)));
    domain.#holders++;
    const { protectionDomain, cache } = domain;
    return { protectionDomain, cache, release: () => domain.#release() };
  }

  async #release(): Promise<void> {
    if (--this.#holders > 0) return;
    SharedDomain.#open.delete(this.#device);
    const held = this.cache.registrations().some(({ uses }) => uses > 0);
    const closed = this.#close();
    closed.catch(() => undefined);
    if (!held) await closed;
  }

  async #close(): Promise<void> {
    await this.cache.end();
    this.protectionDomain.close();
    this.#context.close();
  }
}
