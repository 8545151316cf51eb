import { check, fuzzCli } from '../fuzz/cli.js';

/** Always the same calls; `npm run fuzz` makes others each time. */
const SEED = 20261124;

describe('rdma-regcache, the program, given anything', function () {
  this.timeout(300_000);

  it('ends with 0, 1 or 2 and a message, whatever the arguments, variables and outputs', async () => {
    await fuzzCli(SEED, 40, 20);
  });

  for (const output of ['gone', 'full', 'closed'] as const) {
    it(`does not mind that its output is ${output}`, () => {
      check({ words: ['doctor'], env: {}, output });
      check({ words: ['--help'], env: {}, output });
    });
  }
});
