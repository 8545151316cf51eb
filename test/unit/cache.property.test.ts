import { assertWhateverHappens } from '../model/cache-commands.js';

/** `npm run test:long` runs as many as one likes. */
const SEQUENCES = 200;

describe('cache: whatever happens, in whatever order', () => {
  it('hands out what a naive list of ranges says, pins what is mapped now, and leaks nothing', async () => {
    await assertWhateverHappens({ numRuns: SEQUENCES });
  });
});
