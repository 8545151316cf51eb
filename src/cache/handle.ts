import { inspect } from 'node:util';
import { regcacheError } from '../errors.js';
import { factsOf, jsonOf, readableFactsOf, showFacts, type Stylizing } from '../inspection.js';
import type { Entry, Registration } from './registration.js';

/** One acquire of an entry: a second release is an error of whoever holds this, and of nobody else. */
export class Handle implements Registration {
  /** @internal */
  readonly entry: Entry;
  readonly #onRelease: (() => void) | undefined;
  #released = false;

  /** @param onRelease called before the entry is released */
  constructor(entry: Entry, onRelease?: () => void) {
    this.entry = entry;
    this.#onRelease = onRelease;
  }

  get address(): number {
    return this.entry.address;
  }

  get length(): number {
    return this.entry.length;
  }

  get lkey(): number {
    return this.entry.lkey;
  }

  get rkey(): number {
    return this.entry.rkey;
  }

  get access(): number {
    return this.entry.access;
  }

  get stale(): boolean {
    return this.entry.stale;
  }

  release(): void {
    if (this.#released) {
      throw regcacheError('ERR_DOUBLE_RELEASE', 'this acquire was released before', {
        address: this.address,
        length: this.length,
      });
    }
    this.#released = true;
    this.#onRelease?.();
    this.entry.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [inspect.custom](depth: number, options: Stylizing): string {
    const facts = (): Record<string, unknown> => ({
      ...readableFactsOf(this.entry),
      released: this.#released,
    });
    return showFacts('Registration', facts, depth, options);
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(() => ({ ...factsOf(this.entry), released: this.#released }));
  }
}
