import assert from 'node:assert/strict';
import { transfer } from '../../bench/about/transfer.js';
import { sizeText } from '../../bench/chart/size.js';
import { OPERATIONS, SIZES } from '../../bench/transfer/cases.js';
import { Messages } from '../../bench/transfer/messages.js';
import { rateOf } from '../../bench/transfer/perftest.js';
import { resultOf } from './bench-fixture.js';

/** What ib_write_bw prints around the line that counts. */
const output = (line: string): string =>
  [
    ' GID index       : 1',
    '-----------------------------------------------------',
    ' local address: LID 0000 QPN 0x0011 PSN 0xdb8a89 RKey 0x0002f2 VAddr 0x0056467a2d4000',
    ' #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]',
    line,
    '-----------------------------------------------------',
    '',
  ].join('\n');

describe("perftest's output", () => {
  it('gives the rate by the messages of a whole number of seconds', () => {
    assert.equal(
      rateOf(output(' 64         60000            0.00      2.14   \t\t   0.035127'), 64, 2),
      30_000,
    );
  });

  it('gives the rate by the bandwidth of a number of messages', () => {
    assert.equal(
      rateOf(output(' 67108864    5                25.02              16.00  \t\t   0.000000'), 2 ** 26, 0),
      0.25,
    );
  });

  it('gives none when it found none', () => {
    for (const average of ['0.00', 'inf', '-nan', 'nan'])
      assert.equal(rateOf(output(` 64  20000  inf  ${average}  \t\t   inf`), 64, 0), undefined, average);
    assert.equal(rateOf(output(' 64  0  0.00  0.00  \t\t   0.000000'), 64, 1), undefined);
    assert.equal(rateOf("Couldn't connect to 127.0.0.1:18515\n", 64, 1), undefined);
  });
});

describe('the messages of the transfers', () => {
  /** As the device would. */
  const copy = (messages: Messages, operation: (typeof OPERATIONS)[number], n: number): void => {
    const range = messages.peer.subarray(n * messages.bytes, (n + 1) * messages.bytes);
    if (operation === 'write') range.set(messages.buffers[n]);
    else messages.buffers[n].set(range);
  };

  for (const operation of OPERATIONS) {
    it(`are right when each has come as it was sent: ${operation}`, () => {
      const messages = new Messages(1024);
      messages.renew(operation);
      for (let n = 0; n < 5; n++) copy(messages, operation, n);
      messages.verify(5);
    });

    it(`are wrong when one has not come, another byte has, or one too many: ${operation}`, () => {
      const messages = new Messages(1024);
      messages.renew(operation);
      for (let n = 0; n < 5; n++) copy(messages, operation, n);
      assert.throws(() => {
        messages.verify(6);
      }, /message 5 .* did not come/);
      assert.throws(() => {
        messages.verify(4);
      }, /message 4 .* nobody sent/);
      messages.peer[3 * 1024 + 1023] ^= 1;
      assert.throws(() => {
        messages.verify(5);
      }, /message 3 .* did not come/);
    });

    it(`are new each time: ${operation}`, () => {
      const messages = new Messages(64);
      messages.renew(operation);
      messages.buffers.forEach((_, n) => {
        copy(messages, operation, n);
      });
      messages.verify(messages.buffers.length);
      messages.renew(operation);
      messages.verify(0);
    });
  }

  it('are more than are under way at once', () => {
    for (const { bytes, window, list } of SIZES) {
      // Without the memory of the largest.
      if (bytes > 2 ** 22) continue;
      assert.ok(new Messages(bytes).buffers.length >= 2 * window, `${bytes}`);
      assert.equal(window % list, 0, `${bytes}`);
    }
  });
});

describe('what the transfers say', () => {
  const answer = (ratio: number): string | undefined =>
    transfer.answer(
      resultOf([{ what: 'write', bytes: 64, window: 128, 'cached/perftest': ratio }], { name: 'transfer' }),
    );

  it('is whether the rate was reached', () => {
    assert.match(answer(0.95)!, /95% of as many .* no less than the 95%/);
    assert.match(answer(0.94)!, /94% of as many .* is less than the 95%/);
    assert.equal(transfer.answer(resultOf([{ what: 'write', bytes: 1024 }])), undefined);
  });

  it('has sizes for people', () => {
    assert.deepEqual(
      [64, 1024, 256 * 1024, 64 * 2 ** 20, 2 ** 30].map((bytes) => sizeText(bytes / 1024)),
      ['64 B', '1 KiB', '256 KiB', '64 MiB', '1 GiB'],
    );
  });
});
