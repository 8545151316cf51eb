import { measured, median, type Result, rounded, type Row, spreadColumn } from './result.js';

/**
 * The cells of a row for what was measured of several subjects: median and spread of each, and how many times as much
 * it is as the first one's, which the others are compared with.
 */
export function sideBySide(samples: ReadonlyMap<string, readonly number[]>, digits: number): Row {
  const row: Row = {};
  const [[base, own]] = samples;
  for (const [subject, numbers] of samples) {
    Object.assign(row, measured(subject, numbers, digits));
    if (subject !== base) row[`${subject}/${base}`] = rounded(median(numbers) / median(own), 2);
  }
  return row;
}

/**
 * The rows for a table that people read, with a column for each subject. On a virtual machine nothing but the ratios
 * means anything, and all but the first subject are given as such.
 * @param keys the columns before the subjects'
 * @param subjects the one first that the others are compared with
 */
export function comparison(
  { where }: Pick<Result, 'where'>,
  rows: readonly Row[],
  keys: readonly string[],
  subjects: readonly string[],
): Row[] {
  const base = subjects[0];
  return rows.map((row) => {
    const shown: Row = Object.fromEntries(keys.map((key) => [key, row[key]]));
    for (const subject of subjects) {
      const ratio = `${subject}/${base}`;
      const name = where === 'host' || !(ratio in row) ? subject : ratio;
      const spread = spreadColumn(subject);
      shown[name] = row[name];
      if (spread in row) shown[spreadColumn(name)] = row[spread];
    }
    return shown;
  });
}

/** What is to be said where nothing but the ratios means anything. */
export const ratiosOnly = ({ where }: Pick<Result, 'where'>): string[] =>
  where === 'host'
    ? []
    : ['Under software emulation only ratios mean something: how many times as much it costs.'];
