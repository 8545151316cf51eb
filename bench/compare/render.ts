import type { Row } from '../result.js';
import { table } from '../result.js';
import type { Comparison, Difference } from './compare.js';

const VERDICTS: Record<Difference['verdict'], string> = {
  same: '',
  better: 'better',
  worse: 'REGRESSION',
  reference: '(reference)',
};

/** A table for each benchmark, and what was found. */
export function renderComparison(
  { name, differences, warnings, left }: Comparison,
  tolerance: number,
): string {
  const worse = regressions([{ differences }]);
  // Of words, and there are many, only what is another one.
  const shown = differences.filter(({ before, now, change }) => change !== undefined || before !== now);
  const rows = shown.map(({ row, column, before, now, change, verdict }): Row => ({
    row,
    column,
    before,
    now,
    change: change === undefined ? '' : `${change > 0 ? '+' : ''}${change.toFixed(1)}%`,
    '': VERDICTS[verdict],
  }));
  const same = differences.length - shown.length;
  return [
    `${name}: before and now`,
    ...warnings.map((warning) => `warning: ${warning}`),
    '',
    ...(rows.length > 0 ? [table(rows), ''] : []),
    ...(same > 0 ? [`${same} more are the same`] : []),
    ...left.map((what) => `not compared: ${what}`),
    differences.length === 0
      ? `${name}: nothing could be compared`
      : `${name}: ${worse === 0 ? 'no regression' : `${worse} of ${differences.length} are a REGRESSION`}`,
    `(a regression is what is worse by more than the spread before and the spread now, and by more than ${tolerance}%)`,
    ...(differences.some(({ verdict }) => verdict === 'reference')
      ? ['(a reference is not ours: it shows how much the machine itself has changed)']
      : []),
    '',
  ].join('\n');
}

export const regressions = (all: readonly Pick<Comparison, 'differences'>[]): number =>
  all.flatMap(({ differences }) => differences).filter(({ verdict }) => verdict === 'worse').length;
