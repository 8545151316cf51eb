import assert from 'node:assert/strict';
import { finished } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import type { Endpoint } from '../../src/endpoint/endpoint.js';
import { EndpointStream } from '../../examples/stream/endpoint-stream.js';

const GONE = Object.assign(new Error('the peer closed the connection'), { code: 'ERR_DISCONNECTED' });

/** An endpoint whose device has done nothing of what is sent before the test says so. */
class PretendedEndpoint {
  readonly sends: { bytes: number; done: () => void; failed: (reason: Error) => void }[] = [];
  #receive: { resolve: (message: unknown) => void; reject: (reason: Error) => void } | undefined;
  #ended: Error | undefined;

  send(memory: Uint8Array | undefined): Promise<number> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const bytes = memory?.length ?? 0;
    return new Promise((resolve, failed) => {
      const done = (): void => {
        resolve(bytes);
      };
      this.sends.push({ bytes, done, failed });
    });
  }

  receive(): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => (this.#receive = { resolve, reject }));
  }

  /** An empty message arrives. */
  arrive(immediate: number): void {
    this.#receive!.resolve({ immediate, data: Buffer.alloc(0), release: () => undefined });
  }

  /** The connection ends, with what is outstanding. */
  end(reason: Error): void {
    this.#ended ??= reason;
    this.#receive?.reject(reason);
    for (const { failed } of this.sends) failed(reason);
  }

  destroy(): void {
    this.end(Object.assign(new Error('closed'), { code: 'ERR_CLOSED' }));
  }

  close(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }
}

describe('example: stream, over a connection that ends', () => {
  const END = 0;
  const over = () => {
    const endpoint = new PretendedEndpoint();
    const options = { messageBytes: 100, window: 4, allowHalfOpen: true };
    const stream = new EndpointStream(endpoint as unknown as Endpoint, options);
    stream.resume();
    return { endpoint, stream, ended: finished(stream) };
  };

  it('before all bytes are acknowledged: an error, also for one that has ended itself', async () => {
    for (const peerHasEnded of [false, true]) {
      const { endpoint, stream, ended } = over();
      stream.end(Buffer.alloc(10));
      if (peerHasEnded) endpoint.arrive(END);
      await turn();
      endpoint.end(GONE);
      await assert.rejects(ended, GONE);
    }
  });

  it('while the writer waits for room: an error', async () => {
    const { endpoint, stream, ended } = over();
    stream.end(Buffer.alloc(1000));
    await turn();
    assert.deepEqual(
      endpoint.sends.map(({ bytes }) => bytes),
      [100, 100, 100, 100],
      'the window is full',
    );
    for (const { done } of endpoint.sends) done();
    await turn();
    endpoint.end(GONE);
    await assert.rejects(ended, GONE);
  });

  it('before its own end is acknowledged: an error, also when the peer has told its end', async () => {
    for (const peerHasEnded of [false, true]) {
      const { endpoint, stream, ended } = over();
      stream.end();
      if (peerHasEnded) endpoint.arrive(END);
      await turn();
      assert.equal(endpoint.sends.length, 1, 'its end is under way');
      endpoint.end(GONE);
      await assert.rejects(ended, GONE);
    }
  });

  it('before its own end is told: an error', async () => {
    const { endpoint, stream, ended } = over();
    endpoint.end(GONE);
    stream.end();
    await assert.rejects(ended, GONE);
  });

  it('when both ends are told and acknowledged: none', async () => {
    const { endpoint, stream, ended } = over();
    stream.end();
    await turn();
    endpoint.sends[0].done();
    endpoint.arrive(END);
    endpoint.end(GONE);
    await ended;
    assert.ok(!stream.errored);
  });
});
