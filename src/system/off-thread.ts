import koffi from 'koffi';

/** What a native call came to. */
export interface Outcome {
  readonly result: number;
  /** Of use only when the result is a failure. */
  readonly errno: number;
}

/** To be called once, with what koffi calls back with. */
export type Done = (error: Error | null, result: number) => void;

/** A function of a native library that koffi can call on another thread, too. */
export type Native<Args extends unknown[]> = ((...args: Args) => number) & {
  readonly async: (...args: [...Args, done: Done]) => void;
};

/** Half of the threads that libuv has unless told otherwise: the others are for files and names. */
const AT_A_TIME = 2;

let running = 0;
const waiting: (() => void)[] = [];

/**
 * Have a native call made by a thread of libuv's pool, so that the event loop goes on. The process stays alive for it,
 * and a worker thread that ends waits for it. What comes in more than two at a time waits for its turn; koffi refuses
 * more than 256.
 * @param start begins the call: `(done) => madvise.async(address, length, advice, done)`
 */
export async function offThread(start: (done: Done) => void): Promise<Outcome> {
  if (running === AT_A_TIME) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      start((error, result) => {
        // koffi has put the errno of the other thread in place for as long as it calls back.
        const errno = koffi.errno();
        if (error === null) resolve({ result, errno });
        else reject(error);
      });
    });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}
