import { checkSignal, takeFields } from '../options.js';

/** What can be waited for may take long. */
export interface WaitOptions {
  /** Gives up waiting: the promise rejects with its reason. */
  signal?: AbortSignal;
}

/** The signal of what a caller passed. @throws ERR_INVALID_OPTION */
export function signalOf(options: WaitOptions): AbortSignal | undefined {
  const { signal } = takeFields(options, ['signal']);
  checkSignal(signal);
  return signal;
}

/**
 * The promise, or the reason of the signal if that comes first.
 * @param undo what to do with the value when nobody waits for it any more
 */
export function aborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  undo?: (value: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let gaveUp = false;
    const abort = (): void => {
      gaveUp = true;
      reject(signal!.reason as Error);
    };
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    void promise
      .then((value) => {
        // In the same breath as it is handed out, so that it is either undone or somebody's.
        if (gaveUp) undo?.(value);
        else resolve(value);
      }, reject)
      .finally(() => signal?.removeEventListener('abort', abort));
  });
}
