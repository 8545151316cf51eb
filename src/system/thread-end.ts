import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { type Native, offThread, type Outcome } from './off-thread.js';

type Library = ReturnType<typeof koffi.load>;
type Call<Args extends unknown[]> = (...args: Args) => number;

/** How the objects of one kind in a native library begin and end. */
export interface Lifetime {
  /** The same call; the object whose address it returns ends with the thread at the latest. 0 is no object. */
  begin<Args extends unknown[]>(create: Native<Args>): Call<Args>;
  /**
   * The same, made by another thread. An object that comes about while this thread ends has nobody to end it: it must
   * go with what it is made from.
   */
  beginAsync<Args extends unknown[]>(create: Native<Args>): (...args: Args) => Promise<Outcome>;
  /** The same of a call that returns 0 on success, and writes the address into its second argument then. */
  beginInto<Args extends unknown[]>(
    create: Native<[from: number, object: BigUint64Array, ...Args]>,
  ): Call<[from: number, object: BigUint64Array, ...Args]>;
  /** Have an object that came about otherwise end with the thread, too. */
  readonly adopt: (object: number | bigint) => void;
  /** End an object, given its address; 0, or a failure that has left it as it was. */
  readonly end: Call<[object: number]>;
  /** The same, by another thread. */
  readonly endAsync: (object: number) => Promise<Outcome>;
}

/**
 * See to it that what a worker thread has not ended itself ends with it. `worker.terminate()` and an uncaught error run
 * no JavaScript in the thread any more, but they do run the clean-up hooks of Node-API: the last that was added comes
 * first, so that objects go before those that they are made from. The end of the process needs none of this.
 * @param end a function of the library that takes an address and returns 0 on success, or nothing
 */
export function endsWithThread(library: Library, end: string, returns: 'int' | 'void' = 'int'): Lifetime {
  const destroy = library.func(end, returns, ['uintptr_t']) as unknown as Native<[object: number]>;
  const hook = library.symbol(end) as bigint;
  const { add, remove } = (hooks ??= isMainThread ? NO_HOOKS : bindHooks());
  return {
    // terminate() stops JavaScript where a function begins and where a loop goes round, and nowhere else. So there is
    // neither between the calls of each of these: an object without its hook would stay, and a hook without its
    // object would crash the process.
    begin:
      (create) =>
      (...args) => {
        const object = create(...args);
        if (object !== 0) add(ENV, hook, object);
        return object;
      },
    beginAsync:
      (create) =>
      (...args) =>
        offThread((done) => {
          create.async(...args, (error, object) => {
            if (error === null && object !== 0) add(ENV, hook, object);
            done(error, object);
          });
        }),
    beginInto:
      (create) =>
      (from, object, ...args) => {
        const result = create(from, object, ...args);
        if (result === 0) add(ENV, hook, object[0]);
        return result;
      },
    // Bound, so that no function begins between what brought the object about and this.
    adopt: add.bind(undefined, ENV, hook),
    end: (object) => {
      const result = returns === 'int' ? destroy(object) : (destroy(object), 0);
      if (result === 0) remove(ENV, hook, object);
      return result;
    },
    // The thread that ends waits for the call, and only then come the hooks: there must be none for this object.
    endAsync: (object) =>
      offThread((done) => {
        const ended: typeof done = (error, result) => {
          done(error, result);
          if (result !== 0) add(ENV, hook, object);
        };
        remove(ENV, hook, object);
        try {
          destroy.async(object, ended);
        } catch (error) {
          add(ENV, hook, object);
          throw error;
        }
      }),
  };
}

/** The `napi_env` of koffi in this thread. */
const ENV: unknown = koffi.node.env;

type Hook = (env: unknown, hook: bigint, object: number | bigint) => number;
interface Hooks {
  add: Hook;
  remove: Hook;
}

const NO_HOOKS: Hooks = { add: () => 0, remove: () => 0 };
let hooks: Hooks | undefined;

function bindHooks(): Hooks {
  // Whatever runtime has loaded koffi exports these two: koffi calls the first itself.
  const runtime = koffi.load(null);
  const parameters = ['void *', 'uintptr_t', 'uintptr_t'];
  return {
    add: runtime.func('napi_add_env_cleanup_hook', 'int', parameters) as Hook,
    remove: runtime.func('napi_remove_env_cleanup_hook', 'int', parameters) as Hook,
  };
}
