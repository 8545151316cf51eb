import assert from 'node:assert/strict';
import { comparison, sideBySide } from '../../bench/side-by-side.js';
import { table } from '../../bench/result.js';

const ROW = {
  KiB: 4,
  ...sideBySide(
    new Map([
      ['alone', [4, 2, 3, 1, 5, 1000, 2]],
      ['cached', [6, 6, 6, 6, 6, 6, 6]],
    ]),
    1,
  ),
};

describe('bench: what is measured side by side', () => {
  it('is given as medians with their spread, and as how many times the first it is', () => {
    // The quartiles of 1 2 2 3 4 5 1000 are 2 and 5: half of 3 is 50 % of 3.
    assert.deepEqual(ROW, {
      KiB: 4,
      alone: 3,
      'alone ±%': 50,
      cached: 6,
      'cached ±%': 0,
      'cached/alone': 2,
    });
  });

  it('is shown in its unit on the host', () => {
    const shown = comparison({ where: 'host' }, [ROW], ['KiB'], ['alone', 'cached']);
    assert.deepEqual(shown, [{ KiB: 4, alone: 3, 'alone ±%': 50, cached: 6, 'cached ±%': 0 }]);
    assert.match(table(shown), /^KiB +alone +cached\n-+\n +4 +3 ±50% +6 ±0%$/);
  });

  it('is shown as ratios to the first in a virtual machine', () => {
    const shown = comparison({ where: 'virtual machine' }, [ROW], ['KiB'], ['alone', 'cached']);
    assert.deepEqual(shown, [{ KiB: 4, alone: 3, 'alone ±%': 50, 'cached/alone': 2, 'cached/alone ±%': 0 }]);
  });
});
