import { regcacheError } from '../errors.js';
import type { Outcome } from '../system/off-thread.js';
import { verbsError } from './library.js';

/** What is made from an object, in messages, while another thread uses it. */
const CALL = 'pending call';

export type Kind =
  'device context' | 'protection domain' | 'memory region' | 'completion queue' | 'queue pair';

/** Known to this package alone: with it comes a pointer of the library's own. */
export const MADE = Symbol('made by this package');

/** What a resource is made from. */
export interface Making {
  /** The library's object, which the resource then owns. */
  readonly pointer: number;
  readonly parents: readonly Resource[];
  /** Name of the function that destroys it, and that function: 0 or an errno. */
  readonly destroyCall: string;
  readonly destroy: (pointer: number) => number;
}

/**
 * The library's object of a resource.
 * @throws ERR_INVALID_OPTION for all that is not such a resource, which would crash the library; ERR_CLOSED
 */
export let pointerOf: (value: unknown, kind: Kind) => number;

/** What a resource was made from first: the context of a protection domain, say. */
export let parentOf: (value: unknown, kind: Kind) => Resource;

/** Keep a resource from being closed until a call of another thread, which uses it, is over. */
export let busyWith: <T>(resource: Resource, call: () => Promise<T>) => Promise<T>;

/** Close one by a call of another thread; busy until it is over. */
export let closeBy: (
  resource: Resource,
  kind: Kind,
  destroy: (pointer: number) => Promise<Outcome>,
) => Promise<void>;

/**
 * What all objects of libibverbs share: a pointer that must not be used after it was destroyed, and objects made from
 * it that must be destroyed first. libibverbs leaves both to the caller: it crashes on a stale pointer, and
 * ibv_close_device(3) frees a context under the objects that use it.
 *
 * Programs get at these objects, so what the library is given comes from private fields only: it would also crash on a
 * pointer that somebody made up, or on one to another kind of object.
 */
export abstract class Resource {
  readonly #kind: Kind;
  readonly #making: Making;
  /** Number of living objects made from this one, by kind. */
  readonly #children = new Map<string, number>();
  #pointer: number;

  /** @throws ERR_INVALID_OPTION unless this package itself has made what it is to own */
  protected constructor(made: typeof MADE, kind: Kind, making: Making) {
    requireMade(made, kind);
    this.#kind = kind;
    this.#pointer = making.pointer;
    this.#making = making;
    for (const parent of making.parents) parent.#count(kind, 1);
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
    this.#destroyed(this.#making.destroy(this.#pointer), undefined);
  }

  #requireUnused(): void {
    if (this.#children.size === 0) return;
    const living = [...this.#children].map(([kind, count]) => `${count} ${kind}${count === 1 ? '' : 's'}`);
    throw regcacheError('ERR_BUSY', `this ${this.#kind} is used by ${living.join(', ')}; close them first`, {
      syscall: this.#making.destroyCall,
    });
  }

  #destroyed(result: number, errno: number | undefined): void {
    if (result !== 0) {
      throw verbsError(result, this.#making.destroyCall, `the ${this.#kind} stays open`, undefined, errno);
    }
    this.#pointer = 0;
    for (const parent of this.#making.parents) parent.#count(this.#kind, -1);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #count(kind: string, change: 1 | -1): void {
    const count = (this.#children.get(kind) ?? 0) + change;
    if (count === 0) this.#children.delete(kind);
    else this.#children.set(kind, count);
  }

  static {
    const known = (value: unknown, kind: Kind): Resource => {
      // No instanceof: a prototype says nothing of what is behind it.
      if (typeof value === 'object' && value !== null && #pointer in value && value.#kind === kind)
        return value;
      throw regcacheError('ERR_INVALID_OPTION', `this is no ${kind} of this package`);
    };
    pointerOf = (value, kind) => {
      const resource = known(value, kind);
      if (resource.#pointer === 0) throw regcacheError('ERR_CLOSED', `this ${kind} was closed before`);
      return resource.#pointer;
    };
    parentOf = (value, kind) => known(value, kind).#making.parents[0];
    busyWith = async (resource, call) => {
      resource.#count(CALL, 1);
      try {
        return await call();
      } finally {
        resource.#count(CALL, -1);
      }
    };
    closeBy = async (value, kind, destroy) => {
      const resource = known(value, kind);
      if (resource.#pointer === 0) return;
      resource.#requireUnused();
      const { result, errno } = await busyWith(resource, () => destroy(resource.#pointer));
      resource.#destroyed(result, errno);
    };
  }
}

/** @throws ERR_INVALID_OPTION for who has not the key */
export function requireMade(made: typeof MADE, kind: Kind): void {
  if (made === MADE) return;
  const how = kind === 'device context' ? 'openDevice()' : 'a method of another object';
  throw regcacheError('ERR_INVALID_OPTION', `a ${kind} is made by ${how}, not by its constructor`);
}
