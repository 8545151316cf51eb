import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Failure, Offer } from '../../examples/file-sender/protocol.js';
import { sendFile } from '../../examples/file-sender/sender.js';
import type { Endpoint } from '../../src/endpoint/endpoint.js';

describe('example: file-sender, to a receiver that disconnects', () => {
  const FAILED = new Error('the connection broke');
  const GONE = new Error('the peer closed the connection');
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'file-sender-'));
    writeFileSync(join(folder, 'empty'), '');
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  /**
   * An endpoint that ends when the last message of a sender is sent.
   * @param arrived the messages that have come before
   */
  function endsAtLast(arrived: object[]): Endpoint {
    let sent = 0;
    const endpoint = {
      closed: false,
      send: () => {
        if (++sent < 3) return Promise.resolve(0);
        endpoint.closed = true;
        return Promise.reject(FAILED);
      },
      receive: () => {
        const said = arrived.shift();
        if (said === undefined) return Promise.reject(GONE);
        const data = Buffer.from(JSON.stringify(said));
        return Promise.resolve({ data, byteLength: data.length, [Symbol.dispose]: () => undefined });
      },
    };
    return endpoint as unknown as Endpoint;
  }

  const nothing = { bytes: 0, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' };
  const offer: Offer = { window: { address: 4096, length: 4096, rkey: 1 }, partial: nothing };
  const send = (...arrived: object[]): Promise<unknown> =>
    sendFile(endsAtLast(arrived), join(folder, 'empty'), () => undefined);

  it('hears why, though what is under way fails first', async () => {
    const failure: Failure = { error: 'the disk is full' };
    await assert.rejects(send(offer, failure), { message: 'the receiver says: the disk is full' });
  });

  it('has what failed here, when the receiver said nothing', async () => {
    await assert.rejects(send(offer), FAILED);
  });
});
