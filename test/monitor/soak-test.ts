import assert from 'node:assert/strict';
import { type Kind, soak } from './soak.js';

/** For hours, run dist/test/monitor/soak.js. */
export function soakTest(kind: Kind, seconds: number): void {
  describe(`${kind}: threads that allocate, collect garbage and unmap never hang`, () => {
    it(`for ${seconds} seconds`, async function () {
      this.timeout(120_000);
      const { acquired, invalidations, stale, least } = await soak(kind, seconds);
      console.log(`      ${acquired} acquired, ${invalidations} invalidated, ${stale} stale`);
      assert.ok(least > 50, `a thread got through ${least} rounds`);
      assert.ok(invalidations > 50, `${invalidations} invalidations`);
    });
  });
}
