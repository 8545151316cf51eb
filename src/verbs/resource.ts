import { regcacheError } from '../errors.js';
import type { Outcome } from '../system/off-thread.js';
import { verbsError } from './library.js';

/** What is made from an object, in messages, while another thread uses it. */
const CALL = 'pending call';

/**
 * What all objects of libibverbs share: a pointer that must not be used after it was destroyed, and objects made from
 * it that must be destroyed first. libibverbs leaves both to the caller: it crashes on a stale pointer, and
 * ibv_close_device(3) frees a context under the objects that use it.
 */
export abstract class Resource {
  readonly #kind: string;
  readonly #destroyCall: string;
  readonly #parents: readonly Resource[];
  /** Number of living objects made from this one, by kind. */
  readonly #children = new Map<string, number>();
  #pointer: number;

  /**
   * @param kind for messages, e.g. `'protection domain'`
   * @param pointer the library's object, which this one now owns
   * @param destroyCall name of the function that destroys it
   */
  protected constructor(kind: string, pointer: number, destroyCall: string, parents: readonly Resource[]) {
    this.#kind = kind;
    this.#pointer = pointer;
    this.#destroyCall = destroyCall;
    this.#parents = parents;
    for (const parent of parents) parent.#count(kind, 1);
  }

  /**
   * Address of the library's own structure, for calls of libibverbs that this package does not wrap.
   * @throws RegcacheError `ERR_CLOSED`
   */
  get pointer(): number {
    if (this.#pointer === 0) throw regcacheError('ERR_CLOSED', `this ${this.#kind} was closed before`);
    return this.#pointer;
  }

  get closed(): boolean {
    return this.#pointer === 0;
  }

  /**
   * Destroy the object. Does nothing if it was closed before.
   * @throws RegcacheError `ERR_BUSY` while objects made from it are open, or the error of the library; the object is
   * then still open and can be closed again
   */
  close(): void {
    if (this.#pointer === 0) return;
    this.#requireUnused();
    this.#destroyed(this.destroy(this.#pointer), undefined);
  }

  /** The same by a call of another thread; busy until it is over. */
  protected async closeBy(destroy: (pointer: number) => Promise<Outcome>): Promise<void> {
    if (this.#pointer === 0) return;
    this.#requireUnused();
    const { result, errno } = await this.busyWith(() => destroy(this.#pointer));
    this.#destroyed(result, errno);
  }

  /** Not to be closed until a call of another thread, which uses it, is over. */
  async busyWith<T>(call: () => Promise<T>): Promise<T> {
    this.#count(CALL, 1);
    try {
      return await call();
    } finally {
      this.#count(CALL, -1);
    }
  }

  #requireUnused(): void {
    if (this.#children.size === 0) return;
    const living = [...this.#children].map(([kind, count]) => `${count} ${kind}${count === 1 ? '' : 's'}`);
    throw regcacheError('ERR_BUSY', `this ${this.#kind} is used by ${living.join(', ')}; close them first`, {
      syscall: this.#destroyCall,
    });
  }

  #destroyed(result: number, errno: number | undefined): void {
    if (result !== 0) {
      throw verbsError(result, this.#destroyCall, `the ${this.#kind} stays open`, undefined, errno);
    }
    this.#pointer = 0;
    for (const parent of this.#parents) parent.#count(this.#kind, -1);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Call the library; 0 or an errno. */
  protected abstract destroy(pointer: number): number;

  #count(kind: string, change: 1 | -1): void {
    const count = (this.#children.get(kind) ?? 0) + change;
    if (count === 0) this.#children.delete(kind);
    else this.#children.set(kind, count);
  }
}
