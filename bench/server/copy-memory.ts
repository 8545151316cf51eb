import koffi from 'koffi';

const memcpy = koffi.load(null).func('void *memcpy(uintptr_t to, uintptr_t from, size_t length)') as (
  to: number,
  from: number,
  length: number,
) => unknown;

/** Bytes at addresses, which views would have to be made of otherwise: the garbage collector counts them as memory. */
export function copyMemory(to: number, from: number, length: number): void {
  memcpy(to, from, length);
}
