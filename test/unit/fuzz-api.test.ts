import assert from 'node:assert/strict';
import * as api from '../../src/index.js';
import { runBatch } from '../fuzz/api/batch.js';

/** Always the same calls; `npm run fuzz` makes others each time. */
const SEED = 20261124;

describe('the public interface, given anything', function () {
  this.timeout(300_000);

  it('refuses with an Error that has a documented code, and never ends the process', () => {
    const { calls, refused, called } = runBatch({
      setting: 'host',
      seed: SEED,
      runs: 150,
      // Enough for all runs: with fewer of them not everything is called.
      seconds: 150,
    });
    assert.ok(calls > 1000 && refused > 100, `${calls} calls, ${refused} refused`);
    for (const [name, value] of Object.entries(api) as [string, unknown][]) {
      if (typeof value !== 'function') continue;
      assert.ok(
        called.some((each) => each === name || each === `new ${name}`),
        `${name} was not called`,
      );
    }
  });
});
