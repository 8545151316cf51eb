import { regcacheError } from '../errors.js';
import { pageCeil, pageFloor } from '../memory/pages.js';
import { PAGE_SIZE } from '../system/libc.js';
import type { PageWitness } from '../memory/page-witness.js';
import type { Entry } from './registration.js';

/** The checking mode: remembers which frames each registration pinned and compares them at each hit. */
export class PageCheck {
  readonly #witness: PageWitness;
  readonly #frames = new Map<Entry, BigUint64Array>();

  constructor(witness: PageWitness) {
    this.#witness = witness;
  }

  /** A registration that has just been made, before anything could change. */
  remember(entry: Entry): void {
    this.#frames.set(entry, this.#framesOf(entry));
  }

  forget(entry: Entry): void {
    this.#frames.delete(entry);
  }

  /** @throws ERR_STALE_REGISTRATION if the addresses map to other frames now */
  verify(entry: Entry): void {
    const pinned = this.#frames.get(entry)!;
    const now = this.#framesOf(entry);
    const page = now.findIndex((frame, index) => frame !== pinned[index]);
    if (page === -1) return;
    const address = pageFloor(entry.start) + page * PAGE_SIZE;
    throw regcacheError(
      'ERR_STALE_REGISTRATION',
      `the page at 0x${address.toString(16)} is no longer the one that was pinned, and the monitor has not said so`,
      { address, length: PAGE_SIZE },
    );
  }

  close(): void {
    this.#witness.close?.();
  }

  #framesOf(entry: Entry): BigUint64Array {
    return this.#witness.frames(pageFloor(entry.start), pageCeil(entry.end));
  }
}
