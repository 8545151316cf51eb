import koffi from 'koffi';
import { systemError } from '../../src/errors.js';
import { type Caller, type Calls, libcBits, numberOf, pointerTo } from '../system-calls.js';
import { provideLibrary } from './libraries.js';

const library = koffi.load(provideLibrary('elsewhere'));

const WORDS = 7;

/** Each call by another thread of this process. */
export const ON_THREAD = elsewhere('coverage_on_thread');

/** Each call by a child process that shares the memory. */
export const IN_CHILD = elsewhere('coverage_in_child');

function elsewhere(entry: string): Calls {
  const make = library.func(`int ${entry}(const char *, uintptr_t, uintptr_t, uintptr_t)`) as (
    name: string,
    args: number,
    result: number,
    error: number,
  ) => number;

  /** @param bits of the result */
  function call(name: string, args: readonly number[], bits: number): number {
    const words = BigInt64Array.from({ length: WORDS }, (_, n) => BigInt(args[n] ?? 0));
    const result = new BigInt64Array(1);
    const error = new Int32Array(1);
    const failure = make(name, pointerTo(words), pointerTo(result), pointerTo(error));
    if (failure !== 0) throw systemError(failure, entry);
    const number = Number(BigInt.asIntN(bits, result[0]));
    if (number === -1) throw systemError(error[0], name);
    return number;
  }

  const raw: Caller = (name, ...args) => call('syscall', [numberOf(name), ...args], 64);
  const libc: Caller = (name, ...args) => {
    const bits = libcBits(name);
    return bits === undefined ? raw(name, ...args) : call(name, args, bits);
  };
  return { libc, raw };
}
