/** Says on stderr what is being done and, once done, how many seconds it took: one line for each step. */
export function step(what, work) {
  const start = performance.now();
  process.stderr.write(`${what} ...`);
  try {
    const result = work();
    process.stderr.write(` ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stderr.write(' failed\n');
    throw error;
  }
}

/** A reason to stop that the user can do something about; shown without a stack trace. */
export class SetupError extends Error {}
