type Callable = (...args: unknown[]) => unknown;

/**
 * Counts calls of koffi and of all functions that are bound with it from now on. Nothing of ours calls C by other means.
 * @returns tells how many there have been
 */
export function countCalls(koffi: object): () => number {
  let calls = 0;
  const counting = <T extends object>(call: T): T =>
    new Proxy(call, {
      apply: (target, self, args: unknown[]) => {
        calls++;
        return bound(Reflect.apply(target as Callable, self, args));
      },
    });
  /** Libraries give functions. */
  const bound = (value: unknown): unknown => {
    if (typeof value === 'function') return counting(value);
    if (typeof value !== 'object' || value === null || !('func' in value)) return value;
    return new Proxy(value, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? counting((member as Callable).bind(target)) : member;
      },
    });
  };
  for (const [name, member] of Object.entries(koffi))
    if (typeof member === 'function') Object.assign(koffi, { [name]: counting(member as Callable) });
  return () => calls;
}
