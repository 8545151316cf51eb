/** Run with a function in the place of a method. */
export async function withReplaced<T extends object, K extends keyof T>(
  object: T,
  name: K,
  by: T[K],
  run: () => Promise<void>,
): Promise<void> {
  const own = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, { value: by, configurable: true });
  try {
    await run();
  } finally {
    if (own === undefined) Reflect.deleteProperty(object, name);
    else Object.defineProperty(object, name, own);
  }
}
