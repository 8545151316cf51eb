/** The promise, or the reason of the signal if that comes first. */
export function aborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal!.reason as Error);
    };
    if (signal?.aborted === true) {
      abort();
      return;
    }
    signal?.addEventListener('abort', abort, { once: true });
    promise
      .finally(() => signal?.removeEventListener('abort', abort))
      .then(() => {
        resolve();
      }, reject);
  });
}
