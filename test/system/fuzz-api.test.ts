import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { runBatch } from '../fuzz/api/batch.js';
import { requireStack } from './stack.js';

describe('the public interface over the driver and a device, given anything', function () {
  this.timeout(300_000);

  requireStack();

  it('refuses with an Error that has a documented code, and never ends the process', () => {
    const { calls, refused, called } = runBatch({
      setting: 'device',
      seed: randomInt(2 ** 31),
      runs: 100,
      seconds: 20,
    });
    assert.ok(calls > 200 && refused > 50, `${calls} calls, ${refused} refused`);
    for (const kind of ['Context', 'ProtectionDomain', 'CompletionQueue', 'QueuePair', 'UmmunotifyMonitor'])
      assert.ok(
        called.some((name) => name.startsWith(`${kind}.`)),
        `no method of ${kind} was called`,
      );
  });
});
