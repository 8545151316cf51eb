import koffi from 'koffi';
import { type ErrorCode, regcacheError } from '../errors.js';

export type NativeLibrary = ReturnType<typeof koffi.load>;

/** How to say that a library is not there, or is not new enough. */
export interface Lack {
  readonly code: ErrorCode;
  /** What to install. */
  readonly advice: string;
  /** What has all its functions, e.g. `'rdma-core 32'`. */
  readonly release: string;
}

/**
 * A shared library and its functions.
 * @param name soname or path
 * @param bind binds its functions; throws when one is missing
 * @throws the code of `lack`
 */
export function loadNative<T>(name: string, bind: (library: NativeLibrary) => T, lack: Lack): T {
  const { code, advice, release } = lack;
  let library: NativeLibrary;
  try {
    library = koffi.load(name);
  } catch (cause) {
    throw regcacheError(code, `cannot load ${name}`, { path: name, cause, advice });
  }
  try {
    return bind(library);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw regcacheError(code, `${name} is too old, ${release} or later is needed: ${reason}`, {
      path: name,
      cause,
    });
  }
}
