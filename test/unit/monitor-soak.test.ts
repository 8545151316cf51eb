import assert from 'node:assert/strict';
import { hasLibucm } from '../monitor/libucm.js';
import { type Kind, soak } from '../monitor/soak.js';
import { needs } from '../needs.js';

/** How long each goes on; for hours, run dist/test/monitor/soak.js. */
const SECONDS = { userfaultfd: 10, 'malloc-hooks': 5 } as const;

describe('threads that allocate, collect garbage and unmap never hang', () => {
  for (const [kind, seconds] of Object.entries(SECONDS) as [Kind, number][]) {
    it(`with ${kind}, for ${seconds} seconds`, async function () {
      this.timeout(120_000);
      if (kind === 'malloc-hooks') needs(this, 'libucm', hasLibucm());
      const { acquired, invalidations, stale, least } = await soak(kind, seconds);
      console.log(`      ${acquired} acquired, ${invalidations} invalidated, ${stale} stale`);
      assert.ok(least > 50, `a thread got through ${least} rounds`);
      assert.ok(invalidations > 50, `${invalidations} invalidations`);
    });
  }
});
