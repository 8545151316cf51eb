import assert from 'node:assert/strict';
import { OPERATIONS } from '../../bench/transfer/cases.js';
import { Connection } from '../../bench/connection.js';
import { Messages } from '../../bench/transfer/messages.js';
import { Stream } from '../../bench/transfer/stream.js';
import { Acquired, Bounce, type Subject } from '../../bench/transfer/subjects.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';

const WINDOW = 16;
const COUNT = 3 * WINDOW;

describe('the streams of the benchmark of transfers', () => {
  let connection: Connection;
  let cache: RegistrationCache;

  before(() => {
    connection = new Connection(WINDOW);
    cache = createCache(connection.pd, { monitor: 'ummunotify' });
  });
  after(() => {
    cache.close();
    connection.close();
  });

  for (const operation of OPERATIONS) {
    for (const list of [1, 8]) {
      const flow = { operation, bytes: 1024, window: WINDOW, list };
      const transferred = (make: (messages: Messages) => Subject): Messages => {
        const messages = new Messages(flow.bytes);
        const rkey = connection.expose(messages.peer);
        const subject = make(messages);
        messages.renew(operation);
        const stream = new Stream(connection, messages, rkey, subject, flow);
        for (const part of [WINDOW, COUNT - WINDOW]) stream.run(part);
        subject.close();
        assert.equal(stream.done, COUNT);
        messages.verify(COUNT);
        return messages;
      };
      const what = `${operation}s, ${list} with a call`;

      it(`bring each message through the cache, and release it: ${what}`, () => {
        const before = cache.statistics();
        transferred((messages) => new Acquired(messages, flow, (buffer) => cache.acquire(buffer)));
        const { acquires, uncached } = cache.statistics();
        assert.deepEqual([acquires - before.acquires, uncached - before.uncached], [COUNT, 0]);
        // What is in use would stay.
        cache.flush();
        assert.equal(cache.registrations().length, 0);
      });

      it(`bring each message past the cache: ${what}`, () => {
        const before = cache.statistics();
        transferred((messages) => new Acquired(messages, flow, (buffer) => cache.acquireUncached(buffer)));
        const { uncached, registrations, deregistrations } = cache.statistics();
        assert.equal(uncached - before.uncached, COUNT);
        assert.equal(registrations - before.registrations, COUNT);
        assert.equal(deregistrations, registrations);
      });

      it(`bring each message by way of registered memory: ${what}`, () => {
        transferred((messages) => new Bounce(connection.pd, messages, flow));
      });
    }
  }
});
