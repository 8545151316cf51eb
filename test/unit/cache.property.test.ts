import { assertWhateverHappens } from '../model/cache-commands.js';

/** A few seconds' worth; `npm run test:long` runs as many as one likes. */
const SEQUENCES = 1000;

describe('cache: whatever happens, in whatever order', () => {
  it('hands out what a naive list of ranges says, pins what is mapped now, and leaks nothing', async () => {
    await assertWhateverHappens({ numRuns: SEQUENCES });
  });
});
