import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:os';
import koffi from 'koffi';
import { librdmacm } from '../../src/cm/library.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { connect } from '../../src/endpoint/connect.js';
import { listen } from '../../src/endpoint/listener.js';
import type { RegcacheError } from '../../src/errors.js';
import { CompletionQueue } from '../../src/verbs/completion-queue.js';
import { openDevice } from '../../src/verbs/device.js';
import { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import { QueuePair } from '../../src/verbs/queue-pair.js';
import { requireStack } from '../system/stack.js';
import { connectionsThatLeaveNothing, hostOfDevice } from './fixture.js';
import { withReplaced } from './replaced.js';

describe('when something fails', function () {
  this.timeout(120_000);
  requireStack();
  const join = connectionsThatLeaveNothing();

  describe('and cleaning up fails, too, the first error is told', () => {
    const FIRST = new Error('first');
    const fail = (): never => {
      throw FIRST;
    };

    /** Runs while closing objects of a class fails. @returns those that are left open */
    async function failingToClose<T extends { close(): void }>(
      kind: { prototype: T },
      run: () => Promise<void>,
    ): Promise<T[]> {
      const left = new Set<T>();
      const refuse = function (this: T): never {
        left.add(this);
        throw new Error('in cleaning up');
      };
      await withReplaced(kind.prototype, 'close', refuse, run);
      return [...left];
    }

    const ROWS = [
      ['the_queue_pair', QueuePair.prototype, 'modify'],
      ['the_receive_buffers', RegistrationCache.prototype, 'acquireUncached'],
    ] as const;
    for (const [what, prototype, method] of ROWS) {
      it(`of_${what}_and_the_others_are_closed_all_the_same`, async () => {
        using context = openDevice();
        using protectionDomain = context.createProtectionDomain();
        using cache = createCache(protectionDomain);
        await using listener = await listen();
        const options = { host: hostOfDevice(), port: listener.port, protectionDomain, cache };
        const left = await failingToClose(CompletionQueue, () =>
          withReplaced<object, never>(prototype, method as never, fail as never, () =>
            assert.rejects(connect(options), FIRST),
          ),
        );
        assert.equal(left.length, 1);
        left[0].close();
      });
    }

    it('of_the_handshake', async () => {
      const free = await listen();
      const { port } = free;
      await free.close();
      const left = await failingToClose(ProtectionDomain, () =>
        assert.rejects(connect({ host: hostOfDevice(), port }), { code: 'ECONNREFUSED' }),
      );
      assert.equal(left.length, 1);
      left[0].close();
      left[0].context.close();
    });
  });

  it('in_reading_events_all_who_wait_are_told_and_the_next_connection_works', async () => {
    const { listener, server, client } = await join();
    const closed = [server, client].map(
      async (end) => ((await once(end, 'close')) as [RegcacheError])[0].cause as RegcacheError,
    );
    const accepting = listener.accept();
    const receiving = client.receive();
    const options = { host: hostOfDevice(), port: listener.port };
    const broken = (): number => {
      koffi.errno(constants.errno.ENOMEM);
      return -1;
    };
    const failed = { code: 'ENOMEM', syscall: 'rdma_get_cm_event' };
    await withReplaced(librdmacm(), 'getCmEvent', broken, () => assert.rejects(connect(options), failed));
    await assert.rejects(accepting, failed);
    await assert.rejects(async () => {
      for await (const endpoint of listener) endpoint.destroy();
    }, failed);
    await assert.rejects(receiving, { code: 'ERR_DISCONNECTED' });
    for (const { code, syscall } of await Promise.all(closed)) assert.deepEqual({ code, syscall }, failed);
    await listener.close();

    const again = await listen();
    const [taken, other] = await Promise.all([
      again.accept(),
      connect({ host: hostOfDevice(), port: again.port }),
    ]);
    await Promise.all([taken.receive(), other.send(Buffer.from('works'))]);
    await Promise.all([taken.close(), other.close()]);
    await again.close();
  });
});
