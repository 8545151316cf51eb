/** Fine, or worth knowing, or in the way of RDMA with safe caching. */
export type Status = 'ok' | 'warning' | 'problem';

/** What one look at the machine found. */
export interface Finding {
  readonly status: Status;
  readonly text: string;
  /** The command or the step that mends it. */
  readonly mend?: string | undefined;
  /** More to say, a line each. */
  readonly more?: readonly string[];
  /** The same for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Other than that of the check. */
  readonly id?: string;
}

/** Looks at one thing. What it throws becomes a problem. */
export type Check = () => Finding | readonly Finding[] | Promise<Finding | readonly Finding[]>;

export type Found = Finding & { readonly id: string };
