import assert from 'node:assert/strict';
import { takeConnectOptions, takeListenOptions } from '../../src/endpoint/options.js';

describe('endpoint: its options when nothing is said', () => {
  it('notice a peer that is gone, within seconds', () => {
    for (const { endpoint } of [takeConnectOptions({ host: 'there', port: 1 }), takeListenOptions({})]) {
      const { retries, timeout } = endpoint;
      // For ever: to every device with no timeout, to Soft-RoCE with seven retries.
      assert.ok(timeout > 0 && retries < 7);
      const seconds = (retries + 1) * 4.096e-6 * 2 ** timeout;
      assert.ok(seconds > 1 && seconds < 10, `${seconds} s`);
    }
  });
});
