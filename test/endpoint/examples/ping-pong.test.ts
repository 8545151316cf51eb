import assert from 'node:assert/strict';
import { pingPong } from '../../../examples/ping-pong/ping-pong.js';
import type { Result } from '../../../examples/ping-pong/report.js';
import { requireStack } from '../../system/stack.js';
import { connected } from '../fixture.js';
import { runExample } from './example.js';

describe('example: ping-pong', function () {
  this.timeout(300_000);
  requireStack();

  for (const [way, args] of [
    ['events', []],
    ['polling', ['--poll']],
  ] as const) {
    it(`each_round_trip_is_in_the_histogram_${way}`, async () => {
      const { status, stdout, stderr } = await runExample(
        'ping-pong',
        ...['--sizes', '1,4097,1048576', '--round-trips', '50', '--json'],
        ...args,
      );
      assert.equal(status, 0, stderr);
      const { results, poll } = JSON.parse(stdout) as { results: Result[]; poll: boolean };
      assert.equal(poll, way === 'polling');
      assert.deepEqual(
        results.map(({ bytes, roundTrips }) => [bytes, roundTrips]),
        [1, 4097, 1048576].map((bytes) => [bytes, 50]),
      );
      for (const { least, median, percentile99, most, histogram } of results) {
        assert.ok(0 < least && least <= median && median <= percentile99 && percentile99 <= most);
        assert.equal(
          histogram.reduce((sum, { count }) => sum + count, 0),
          50,
        );
        assert.ok(histogram[0].from <= least && most < histogram.at(-1)!.below);
      }
    });
  }

  it('prints_a_table_and_a_histogram_for_people', async () => {
    const { status, stdout } = await runExample('ping-pong', '--sizes', '8', '--round-trips', '20');
    assert.equal(status, 0);
    assert.match(stdout, /^ +bytes +round trips +least us +median us +99 % us +most us$/m);
    assert.match(stdout, /^ +8 +20( +\d+\.\d){4}$/m);
    assert.match(stdout, /^ +\d+ to \d+ +us +\d+ {2}#{50}$/m);
  });

  it('notices_a_message_that_comes_back_changed', async () => {
    const both = await connected();
    const change = async (): Promise<void> => {
      for await (const { data } of both.server.messages()) {
        data[99] ^= 1;
        await both.server.send(data);
      }
    };
    const server = change();
    await assert.rejects(pingPong(both.client, 100, 10), /100 bytes did not come back as it was sent/);
    await both.close();
    await server;
  });

  it('says_what_is_wrong_in_a_line', async () => {
    const refused = await runExample('ping-pong', '--host', '192.0.2.1', '--port', '1');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^ping-pong: ECONNREFUSED.*\n$/);
  });
});
