/** How one test ended. */
export interface Outcome {
  readonly kind: 'passed' | 'failed' | 'skipped';
  /** Suites and test, as one reads it. */
  readonly name: string;
  /** For a skipped test: the capability that is missing. */
  readonly needs?: string | undefined;
}

export function passed(name: string): Outcome {
  return { kind: 'passed', name };
}

export function failed(name: string): Outcome {
  return { kind: 'failed', name };
}

export function skipped(name: string, needs: string): Outcome {
  return { kind: 'skipped', name, needs };
}

/** The last lines of a run: what failed, what was skipped and why, the numbers for people, the numbers for programs. */
export function summary(outcomes: readonly Outcome[]): string {
  const of = (kind: Outcome['kind']): Outcome[] => outcomes.filter((outcome) => outcome.kind === kind);
  const [fine, broken, omitted] = [of('passed'), of('failed'), of('skipped')];
  return [
    ...broken.map(({ name }) => `failed: ${name}`),
    ...omitted.map(
      ({ name, needs }) => `skipped: ${name} (${needs === undefined ? 'no reason given' : `needs ${needs}`})`,
    ),
    '',
    `${fine.length} passed, ${broken.length} failed, ${omitted.length} skipped`,
    `passed=${fine.length} failed=${broken.length} skipped=${omitted.length}`,
    '',
  ].join('\n');
}
