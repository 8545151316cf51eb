import assert from 'node:assert/strict';
import { BENCHES } from '../../bench/benches.js';
import type { Row } from '../../bench/result.js';
import { resultOf } from './bench-fixture.js';

const answerOf = (name: string, rows: readonly Row[]): string | undefined =>
  BENCHES.get(name)!.about.answer(resultOf(rows));

describe('the answer to the question of a benchmark', () => {
  it('is none when the result lacks what it takes', () => {
    for (const name of BENCHES.keys()) {
      if (name !== 'coverage') assert.equal(answerOf(name, []), undefined, name);
    }
  });

  it('says which sizes of a miss miss the target', () => {
    const rows = [
      { what: 'register + insert', KiB: 4, 'cache itself': 0.5, target: 3, met: 'yes' },
      { what: 'register + insert', KiB: 1024, 'cache itself': 3.5, target: 3, met: 'no' },
      { what: 'evict + deregister', KiB: 1024, 'cache itself': 2, target: 3, met: 'yes' },
    ];
    assert.match(
      answerOf('miss', rows)!,
      /0\.5 to 3\.5 us .* missed by 1 of 3 \(register \+ insert: 3\.5 us at 1 MiB\)\.$/,
    );
    assert.match(answerOf('miss', [rows[0], rows[2]])!, /0\.5 to 2 us .* met at all sizes\.$/);
  });

  it('says what a miss costs beside registering alone where the cache itself is not timed', () => {
    const rows = [4, 1024 * 1024].map((KiB, n) => ({
      what: 'register + insert',
      KiB,
      'ummunotify/alone': 7 - 5 * n,
    }));
    assert.match(answerOf('miss', rows)!, /7 times \(4 KiB\) to 2 times \(1 GiB\)/);
  });

  it('says what costs most under each monitor, with as many registrations as it can watch', () => {
    const rows = [
      { what: 'fork', registrations: 1_000, none: 1, 'userfaultfd/none': 2, 'ummunotify/none': 9 },
      { what: 'munmap', registrations: 1_000, none: 1, 'userfaultfd/none': 19, 'ummunotify/none': 9 },
      { what: 'fork', registrations: 1_000_000, none: 1, 'ummunotify/none': 3 },
      { what: 'munmap', registrations: 1_000_000, none: 1, 'ummunotify/none': 1.5 },
    ];
    assert.match(
      answerOf('overhead', rows)!,
      /under ummunotify with 1,000,000, 3 times \(fork\); under userfaultfd with 1,000, 19 times \(munmap\)\.$/,
    );
  });

  it('says what a use costs with the least and with the most that is remapped', () => {
    const rows = ['at once', 'in between'].flatMap((remapped, way) =>
      [1, 100].map((percent) => ({
        remapped,
        '%': percent,
        monitor: 'ummunotify',
        'use/none': percent / 50 + way,
      })),
    );
    assert.match(answerOf('storm', rows)!, /times as long: ummunotify 1\.02 and 3\.$/);
    assert.equal(answerOf('storm', rows.slice(0, 3)), undefined);
  });
});
