import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { EndpointStream } from '../../../examples/stream/endpoint-stream.js';
import { requireStack } from '../../system/stack.js';
import { connected, type Connected, contentOf } from '../fixture.js';
import { runExample } from './example.js';

describe('example: stream', function () {
  this.timeout(300_000);
  requireStack();

  let both: Connected;
  beforeEach(async () => {
    both = await connected();
  });
  afterEach(() => both.close());

  /** All that can be read. (To iterate over a stream closes it in both directions.) */
  const collect = async (stream: Readable): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    const collecting = new Writable({
      write: (chunk: Buffer, _encoding, callback) => {
        chunks.push(chunk);
        callback();
      },
    });
    await pipeline(stream, collecting);
    return Buffer.concat(chunks);
  };

  /** Chunks of a length each that are never the same. */
  function* chunksOf(content: Buffer, longest: number): Generator<Buffer> {
    for (let at = 0, n = 1; at < content.length; n++) {
      const length = 1 + ((n * 7919) % longest);
      yield content.subarray(at, at + length);
      at += length;
    }
  }

  it('a_pipeline_brings_all_bytes_in_order_and_ends', async () => {
    const content = contentOf(5 * 2 ** 20 + 11, 3);
    const writer = new EndpointStream(both.client);
    const reader = new EndpointStream(both.server);
    const [received] = await Promise.all([
      collect(reader),
      pipeline(Readable.from(chunksOf(content, 300_000)), writer),
    ]);
    assert.ok(received.equals(content));
    // The reader has ended its own side with that.
    assert.equal((await collect(writer)).length, 0);
    await Promise.all([both.client.close(), both.server.close()]);
    assert.ok(reader.destroyed && writer.destroyed && !reader.errored && !writer.errored);
  });

  it('both_directions_at_once', async () => {
    const contents = [contentOf(3 * 2 ** 20, 5), contentOf(2 * 2 ** 20 + 1, 7)];
    const streams = [new EndpointStream(both.client), new EndpointStream(both.server)];
    const received = await Promise.all([
      ...streams.map(collect),
      ...streams.map((stream, n) => pipeline(Readable.from(chunksOf(contents[n], 200_000)), stream)),
    ]);
    assert.ok(received[0]!.equals(contents[1]));
    assert.ok(received[1]!.equals(contents[0]));
  });

  it('a_reader_that_waits_makes_the_writer_wait', async () => {
    const CHUNK = 50_000;
    const content = contentOf(20 * 2 ** 20, 9);
    let produced = 0;
    function* producing(): Generator<Buffer> {
      for (let at = 0; at < content.length; at += CHUNK) {
        const chunk = content.subarray(at, at + CHUNK);
        produced += chunk.length;
        yield chunk;
      }
    }
    const writer = new EndpointStream(both.client, { window: 8, messageBytes: 40_000 });
    const reader = new EndpointStream(both.server, { window: 8, messageBytes: 40_000 });
    const writing = pipeline(Readable.from(producing(), { highWaterMark: 1 }), writer);
    while (produced < 8 * 40_000 || !writer.writableNeedDrain) await delay(10);
    // Time for more, if it did not wait.
    await delay(2000);
    // A window on its way, and as much and a chunk more in the writer's buffer, in a batch from it and in the source;
    // and what the reader has taken in by itself.
    const most = 2 * 8 * 40_000 + 3 * CHUNK + reader.readableHighWaterMark + 40_000;
    assert.ok(produced <= most, `${produced} bytes, of ${most} at most`);
    const [received] = await Promise.all([collect(reader), writing]);
    assert.equal(produced, content.length);
    assert.ok(received.equals(content));
  });

  it('a_writer_that_fails_is_no_end_for_the_reader', async () => {
    function* failing(): Generator<Buffer> {
      for (let n = 0; n < 20; n++) yield randomBytes(60_000);
      throw new Error('the source failed');
    }
    const writer = new EndpointStream(both.client);
    const reader = new EndpointStream(both.server);
    const outcomes = await Promise.allSettled([pipeline(Readable.from(failing()), writer), collect(reader)]);
    assert.deepEqual(
      outcomes.map((outcome) =>
        outcome.status === 'rejected' ? (outcome.reason as NodeJS.ErrnoException).code : 'ended',
      ),
      [undefined, 'ERR_DISCONNECTED'],
    );
  });

  it('a_reader_that_fails_is_heard_of_by_a_writer_that_waits', async () => {
    const writer = new EndpointStream(both.client);
    const reader = new EndpointStream(both.server);
    const failing = new Writable({
      write: (_chunk, _encoding, callback) => {
        callback(new Error('the disk is full'));
      },
    });
    function* endless(): Generator<Buffer> {
      for (;;) yield Buffer.alloc(100_000, 'x');
    }
    const [writing, reading] = await Promise.allSettled([
      pipeline(Readable.from(endless()), writer),
      pipeline(reader, failing),
    ]);
    assert.match(String(reading.status === 'rejected' && reading.reason), /the disk is full/);
    assert.match(String(writing.status === 'rejected' && writing.reason), /ERR_DISCONNECTED/);
  });

  it('a_peer_that_ends_before_the_stream_does_is_an_error', async () => {
    const writer = new EndpointStream(both.client);
    const error = once(writer, 'error');
    both.server.destroy();
    assert.match(String((await error)[0]), /ERR_DISCONNECTED/);
  });

  it('a_peer_that_disconnects_with_its_end_is_an_error_for_who_has_not_sent_all', async () => {
    const writer = new EndpointStream(both.client, { allowHalfOpen: true });
    writer.resume();
    const writing = pipeline(Readable.from(chunksOf(contentOf(20 * 2 ** 20), 100_000)), writer);
    const end = both.server.send(undefined, { immediate: 0 });
    await both.server.receive();
    await end;
    both.server.destroy();
    await assert.rejects(writing, { code: 'ERR_DISCONNECTED' });
  });

  it('a_file_goes_through_two_processes_and_comes_back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stream-'));
    try {
      const file = join(folder, 'file');
      const content = Buffer.concat([Buffer.alloc(2 ** 20, 'compressible, '), randomBytes(300_000)]);
      writeFileSync(file, content);
      const { status, stdout, stderr } = await runExample('stream', '--json', file);
      assert.equal(status, 0, stderr);
      const { sent, compressed, unpacked } = JSON.parse(stdout) as Record<string, number>;
      assert.equal(sent, content.length);
      assert.equal(unpacked, content.length);
      assert.ok(compressed > 300_000 && compressed < content.length / 2, `${compressed} bytes`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
