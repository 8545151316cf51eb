import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';

type Library = ReturnType<typeof koffi.load>;
type Call<Args extends unknown[]> = (...args: Args) => number;

/** How the objects of one kind in a native library begin and end. */
export interface Lifetime {
  /** The same call; the object whose address it returns ends with the thread at the latest. 0 is no object. */
  begin<Args extends unknown[]>(create: Call<Args>): Call<Args>;
  /** End an object, given its address; 0, or a failure that has left it as it was. */
  readonly end: Call<[object: number]>;
}

/**
 * See to it that what a worker thread has not ended itself ends with it. `worker.terminate()` and an uncaught error run
 * no JavaScript in the thread any more, but they do run the clean-up hooks of Node-API: the last that was added comes
 * first, so that objects go before those that they are made from. The end of the process needs none of this.
 * @param end a function of the library that takes an address and returns 0 on success
 */
export function endsWithThread(library: Library, end: string): Lifetime {
  const destroy = library.func(end, 'int', ['uintptr_t']) as Lifetime['end'];
  if (isMainThread) return { begin: (create) => create, end: destroy };
  const hook = library.symbol(end) as bigint;
  const { add, remove } = (hooks ??= bindHooks());
  return {
    // terminate() stops JavaScript where a function begins and where a loop goes round, and nowhere else. So there is
    // neither between the two calls of each of these: an object without its hook would stay, and a hook without its
    // object would crash the process.
    begin:
      (create) =>
      (...args) => {
        const object = create(...args);
        if (object !== 0) add(ENV, hook, object);
        return object;
      },
    end: (object) => {
      const result = destroy(object);
      if (result === 0) remove(ENV, hook, object);
      return result;
    },
  };
}

/** The `napi_env` of koffi in this thread. */
const ENV: unknown = koffi.node.env;

type Hook = (env: unknown, hook: bigint, object: number) => number;
let hooks: { add: Hook; remove: Hook } | undefined;

function bindHooks(): { add: Hook; remove: Hook } {
  // Whatever runtime has loaded koffi exports these two: koffi calls the first itself.
  const runtime = koffi.load(null);
  const parameters = ['void *', 'uintptr_t', 'uintptr_t'];
  return {
    add: runtime.func('napi_add_env_cleanup_hook', 'int', parameters) as Hook,
    remove: runtime.func('napi_remove_env_cleanup_hook', 'int', parameters) as Hook,
  };
}
