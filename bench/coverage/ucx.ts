import koffi from 'koffi';
import { regcacheError, systemError } from '../../src/errors.js';
import { pointerTo } from '../system-calls.js';
import { provideLibrary } from './libraries.js';
import type { Source } from './source.js';

type Library = ReturnType<typeof bind>;

/** What libucs reads when it is loaded: its signal handlers would get in the runtime's way. */
export const UCX_SETTINGS = { UCX_HANDLE_ERRORS: 'none', UCX_DEBUG_SIGNO: '0', UCX_LOG_LEVEL: 'error' };

let library: Library | undefined;

/**
 * UCX's own registration cache, over ibv_reg_mr. Its hooks stay in this process.
 * @param pd address of the protection domain
 * @throws RegcacheError `ERR_NO_MONITOR` where it cannot be loaded or cannot hook
 */
export function openUcx(pd: number): Source {
  const { open, close, registrations, get, put } = (library ??= load());
  const cache = open(pd);
  if (cache === 0) throw regcacheError('ERR_NO_MONITOR', 'UCX cannot hook this process');
  const key = new Uint32Array(1);
  return {
    acquire(address, length) {
      const region = get(cache, address, length, pointerTo(key));
      if (region === 0) throw systemError(koffi.errno(), 'ucs_rcache_get');
      return {
        lkey: key[0],
        [Symbol.dispose]: () => {
          put(cache, region);
        },
      };
    },
    registrations: () => registrations(cache),
    [Symbol.dispose]: () => {
      close(cache);
    },
  };
}

function load(): Library {
  try {
    return bind(koffi.load(provideLibrary('ucx')));
  } catch (cause) {
    throw regcacheError('ERR_NO_MONITOR', 'UCX is not there, or not its headers (libucx-dev)', { cause });
  }
}

function bind(lib: ReturnType<typeof koffi.load>) {
  return {
    open: lib.func('uintptr_t coverage_ucx_open(uintptr_t)') as (pd: number) => number,
    close: lib.func('void coverage_ucx_close(uintptr_t)') as (cache: number) => void,
    registrations: lib.func('uint32_t coverage_ucx_registrations(uintptr_t)') as (cache: number) => number,
    get: lib.func('uintptr_t coverage_ucx_get(uintptr_t, uintptr_t, size_t, uintptr_t)') as (
      cache: number,
      address: number,
      length: number,
      lkey: number,
    ) => number,
    put: lib.func('void coverage_ucx_put(uintptr_t, uintptr_t)') as (cache: number, region: number) => void,
  };
}
