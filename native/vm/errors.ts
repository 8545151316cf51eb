/** Exit status when the guest or its command ran out of time, as of timeout(1). */
export const STATUS_TIME_LIMIT = 124;

/** Exit status when the virtual machine itself failed: it did not boot, it died, its kernel complained. */
export const STATUS_VM_FAILED = 125;

/** Exit status of a command line that makes no sense. */
export const STATUS_USAGE = 2;

/** A failure the user is told in plain words, without a stack trace; `status` is the exit status it leads to. */
export class VmError extends Error {
  constructor(
    message: string,
    readonly status: number = STATUS_VM_FAILED,
  ) {
    super(message);
    this.name = 'VmError';
  }
}

/** Tells the user on stderr what failed and returns the exit status for it. */
export function reportFailure(error: unknown): number {
  if (error instanceof VmError) {
    process.stderr.write(`vm: ${error.message}\n`);
    return error.status;
  }
  process.stderr.write(`vm: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return STATUS_VM_FAILED;
}
