import type { ConnectionId } from '../cm/connection-id.js';
import { type Domain, holdDomain } from './domain.js';
import type { CheckedOptions } from './options.js';

/**
 * What the endpoints over one device share, held also while there is none, and no longer than there is the device: the
 * last to hold it would keep it from going.
 */
export class KeptDomain {
  /**
   * Told when the device goes, as no connection may be: it may have ended before, or be told of its peer's end first.
   * Undefined where there can be none: the address may be a link-local one, of which the connection manager does not tell
   * which, or be another device's too. Then those connections that are told have to do.
   */
  readonly #guard: ConnectionId | undefined;
  readonly #domain: Domain;
  #released: Promise<void> | undefined;

  /**
   * @param id bound to the device
   * @param onGone called when the device goes
   * @throws what `holdDomain` throws
   */
  constructor(id: ConnectionId, device: string, options: CheckedOptions, onGone: () => void) {
    this.#domain = holdDomain(device, options);
    // Of a domain that the program has given nothing is held here.
    this.#guard = options.protectionDomain === undefined ? guardOf(id, device) : undefined;
    if (this.#guard !== undefined) this.#guard.onLost = onGone;
  }

  /** Settles as the release of a domain does. Idempotent. */
  release(): Promise<void> {
    this.#guard?.close();
    return (this.#released ??= this.#domain.release());
  }
}

function guardOf(id: ConnectionId, device: string): ConnectionId | undefined {
  try {
    const guard = id.atSameAddress();
    if (guard.device === device) return guard;
    guard.close();
  } catch {
    // The connection is none the worse for it.
  }
  return undefined;
}
