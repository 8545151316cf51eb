/** Exit statuses: what was asked for is so, or is not, or was not understood. */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 2 } as const;

/** A reason to stop, shown without a stack trace. */
export class CliError extends Error {
  readonly exitStatus: number;

  constructor(message: string, exitStatus: number = EXIT.FAILED) {
    super(message);
    this.exitStatus = exitStatus;
  }
}
