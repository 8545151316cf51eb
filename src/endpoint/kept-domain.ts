import type { ConnectionId } from '../cm/connection-id.js';
import { type Domain, holdDomain } from './domain.js';
import type { CheckedOptions } from './options.js';

/**
 * What the endpoints over one device share, held also while there is none, and no longer than there is the device: the
 * last to hold it would keep it from going.
 */
export class KeptDomain {
  /** Told when the device goes, as no connection may be: it may have ended before, or be told of its peer's end first. */
  readonly #guard: ConnectionId;
  readonly #domain: Domain;
  #released: Promise<void> | undefined;

  /**
   * @param id bound to the device
   * @param onGone called when the domain was let go of because the device went
   * @throws what `holdDomain` and `ConnectionId.atSameAddress` throw
   */
  constructor(id: ConnectionId, device: string, options: CheckedOptions, onGone: () => void) {
    this.#guard = id.atSameAddress();
    try {
      this.#domain = holdDomain(device, options);
    } catch (error) {
      this.#guard.close();
      throw error;
    }
    this.#guard.onLost = () => {
      this.release().catch(() => undefined);
      onGone();
    };
  }

  /** Settles as the release of a domain does. Idempotent. */
  release(): Promise<void> {
    this.#guard.close();
    return (this.#released ??= this.#domain.release());
  }
}
