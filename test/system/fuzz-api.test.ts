import assert from 'node:assert/strict';
import { runBatch } from '../fuzz/api/batch.js';
import { requireStack } from './stack.js';

/** Always the same calls; `npm run fuzz` makes others each time. */
const SEED = 20261124;

describe('the public interface over the driver and a device, given anything', function () {
  this.timeout(480_000);

  requireStack();

  it('refuses with an Error that has a documented code, and never ends the process', () => {
    const { calls, refused, called } = runBatch({
      setting: 'device',
      seed: SEED,
      runs: 100,
      // Enough for all runs: with fewer of them not everything is called.
      seconds: 300,
    });
    assert.ok(calls > 200 && refused > 50, `${calls} calls, ${refused} refused`);
    for (const kind of ['Context', 'ProtectionDomain', 'CompletionQueue', 'QueuePair', 'UmmunotifyMonitor'])
      assert.ok(
        called.some((name) => name.startsWith(`${kind}.`)),
        `no method of ${kind} was called`,
      );
  });
});
