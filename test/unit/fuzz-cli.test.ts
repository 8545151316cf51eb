import { randomInt } from 'node:crypto';
import { check, fuzzCli } from '../fuzz/cli.js';

describe('rdma-regcache, the program, given anything', function () {
  this.timeout(300_000);

  it('ends with 0, 1 or 2 and a message, whatever the arguments, variables and outputs', async () => {
    await fuzzCli(randomInt(2 ** 31), 40, 20);
  });

  for (const output of ['gone', 'full', 'closed'] as const) {
    it(`does not mind that its output is ${output}`, () => {
      check({ words: ['doctor'], env: {}, output });
      check({ words: ['--help'], env: {}, output });
    });
  }
});
