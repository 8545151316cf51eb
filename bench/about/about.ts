import type { ParseArgsConfig } from 'node:util';
import type { Figure, Result } from '../result.js';

/** What is known of a benchmark without running it: what the report, the comparison and the command line need. */
export interface About {
  /** What it answers, as a question. */
  readonly question: string;
  /** What a result says to that: a sentence; undefined when it lacks what that takes. */
  readonly answer: (result: Result) => string | undefined;
  /** How it was measured: sentences for a reader. */
  readonly method: string;
  /** What the columns, or other words of the table, mean. */
  readonly terms: Readonly<Record<string, string>>;
  /** By name; what is not listed can be shown but not compared. */
  readonly columns: Readonly<Record<string, Column>>;
  readonly figures: readonly Figure[];
  /** Of its program. */
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** What its own options are for: lines of the usage. */
  readonly usage?: string;
}

/**
 * key          tells a row from others
 * lower        the lower the better
 * higher       the higher the better
 * reference    something else to compare with: how it changes is shown, and is no regression
 * information  not worth comparing
 *
 * The quotient of two others has their spreads; of words the best comes first.
 */
export type Column =
  | 'key'
  | 'lower'
  | 'higher'
  | 'reference'
  | 'information'
  | { readonly lower: readonly [dividend: string, divisor: string] }
  | { readonly words: readonly string[] };

/** What every benchmark's program takes. */
export const JSON_OPTION = { json: { type: 'boolean', default: false } } as const;
