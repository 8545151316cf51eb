import assert from 'node:assert/strict';
import koffi from 'koffi';

const PR_SET_THP_DISABLE = 41;

const prctl = koffi
  .load(null)
  .func('int prctl(int option, unsigned long on, unsigned long, unsigned long, unsigned long)') as (
  option: number,
  on: number,
  ...zeros: number[]
) => number;

const allowHugePages = (allowed: boolean): void => {
  assert.equal(prctl(PR_SET_THP_DISABLE, allowed ? 0 : 1, 0, 0, 0), 0);
};

/**
 * While the surrounding suite runs, have no huge pages made in this process, nor in those that it starts: whenever it
 * likes, khugepaged moves small pages into one, and a change to one page of a huge page is a change to all of it. Both
 * are reported, as they have to be, and are no change that a test has made and can count.
 */
export function pagesStay(): void {
  before('no huge pages', () => {
    allowHugePages(false);
  });
  after('huge pages as before', () => {
    allowHugePages(true);
  });
}
