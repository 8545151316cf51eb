import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Access } from '../../src/access.js';
import { createCache } from '../../src/create-cache.js';
import type { RegcacheError } from '../../src/errors.js';
import { connect } from '../../src/endpoint/connect.js';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { listen, Listener } from '../../src/endpoint/listener.js';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { openDevice } from '../../src/verbs/device.js';
import { COMPLETION_STATUSES } from '../../src/verbs/work-completion.js';
import { kernelState, settlesAt } from '../survival/kernel-state.js';
import {
  connectionsThatLeaveNothing,
  contentOf,
  EXPOSED_BYTES,
  exchange,
  hostOfDevice,
  startPeer,
  writeUntilLost,
} from './fixture.js';
import { requireStack } from '../system/stack.js';

const ALL = Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC;

/** Bytes of each registration of an endpoint's cache that somebody holds, the least first. */
const inUse = ({ cache }: Endpoint): number[] =>
  cache
    .registrations()
    .filter(({ uses }) => uses > 0)
    .map(({ length }) => length)
    .sort((a, b) => a - b);

/** Bytes of the receive buffers of an endpoint, by default. */
const BUFFERS = 32 * 65_536;

describe('an endpoint', function () {
  this.timeout(120_000);
  requireStack();
  const join = connectionsThatLeaveNothing();

  describe('transfers', () => {
    it('messages_of_every_length_with_and_without_immediate_data', async () => {
      const { server, client } = await join();
      for (const length of [1, 7, 4096, 65_536]) {
        const sent = contentOf(length, length);
        const [message, bytes] = await Promise.all([server.receive(), client.send(sent)]);
        assert.deepEqual(
          [message.kind, message.byteLength, message.immediate, bytes],
          ['send', length, undefined, length],
        );
        assert.ok(message.data.equals(sent));
        message.release();
      }
      assert.equal(await server.send(undefined, { immediate: 4_000_000_000 }), 0);
      const empty = await client.receive();
      assert.deepEqual([empty.byteLength, empty.data.length, empty.immediate], [0, 0, 4_000_000_000]);
    });

    it('memory_of_every_kind_written_and_read_where_it_is', async () => {
      const { server, client } = await join();
      const target = allocatePageAligned(EXPOSED_BYTES);
      const exposed = server.expose(target);
      const remote = JSON.parse(JSON.stringify(exposed)) as typeof exposed;
      assert.deepEqual(remote, { address: exposed.address, length: EXPOSED_BYTES, rkey: exposed.rkey });
      const bytes = contentOf(3 * 2 ** 20, 5);
      const sources = [
        bytes.subarray(17, 17 + 5000),
        Buffer.from('from the pool of small buffers'),
        new Uint16Array(contentOf(4096, 6).buffer, 0, 100),
        contentOf(9000, 8).buffer,
        new DataView(new SharedArrayBuffer(64), 8, 32),
        bytes,
      ];
      for (const source of sources) {
        const expected = ArrayBuffer.isView(source)
          ? Buffer.from(source.buffer, source.byteOffset, source.byteLength)
          : Buffer.from(source);
        target.fill(0xee);
        assert.equal(await client.write(source, remote, { offset: 1001 }), expected.length);
        assert.ok(target.subarray(1001, 1001 + expected.length).equals(expected));
        assert.equal(target[1000], 0xee);
        assert.equal(target[1001 + expected.length], 0xee);
        const back = new Uint8Array(expected.length);
        assert.equal(await client.read(back, remote, { offset: 1001 }), expected.length);
        assert.ok(expected.equals(back));
      }
      assert.deepEqual(inUse(client), [BUFFERS, BUFFERS, EXPOSED_BYTES], 'only what is exposed is held');
    });

    it('a_write_with_immediate_data_is_news_for_the_peer', async () => {
      const { server, client } = await join();
      const target = Buffer.alloc(5000);
      await client.write(contentOf(5000), server.expose(target), { immediate: 99 });
      using message = await server.receive();
      assert.deepEqual(
        [message.kind, message.byteLength, message.data.length, message.immediate],
        ['write', 5000, 0, 99],
      );
      assert.ok(target.equals(contentOf(5000)));
    });

    it('atomics_give_what_was_there_before', async () => {
      const { server, client } = await join();
      const memory = allocatePageAligned(64);
      const remote = server.expose(memory, ALL);
      memory.writeBigUInt64LE(40n, 16);
      assert.equal(await client.fetchAndAdd(remote, 2n, { offset: 16 }), 40n);
      assert.equal(await client.compareAndSwap(remote, 1n, 5n, { offset: 16 }), 42n, 'not equal: left alone');
      assert.equal(await client.compareAndSwap(remote, 42n, 2n ** 63n, { offset: 16 }), 42n);
      assert.equal(memory.readBigUInt64LE(16), 2n ** 63n);
      const added = await Promise.all(Array.from({ length: 300 }, () => client.fetchAndAdd(remote, 1n)));
      assert.deepEqual(
        added,
        Array.from({ length: 300 }, (_, n) => BigInt(n)),
      );
    });

    it('messages_into_memory_of_the_programs_own', async () => {
      const { server, client } = await join({ receiveBuffers: 0, receiveDepth: 2 }, {});
      const places = [0, 1, 2, 3, 4].map(() => Buffer.alloc(100));
      const received = places.map((place) => server.receive(place));
      for (let n = 0; n < 5; n++) await client.send(contentOf(50 + n, n), { immediate: n });
      assert.deepEqual(
        await Promise.all(received),
        [0, 1, 2, 3, 4].map((n) => ({ kind: 'send', byteLength: 50 + n, immediate: n })),
      );
      for (const [n, place] of places.entries())
        assert.ok(place.subarray(0, 50 + n).equals(contentOf(50 + n, n)));
      await assert.rejects(server.receive(), { code: 'ERR_INVALID_OPTION' });
    });

    it('a_batch_in_its_order_with_one_call', async () => {
      const { server, client } = await join({ sendDepth: 8 });
      const memory = allocatePageAligned(4096);
      const remote = server.expose(memory, ALL);
      const back = Buffer.alloc(8);
      const batch = client.batch();
      batch.write(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), remote).fetchAndAdd(remote, 6n);
      batch.compareAndSwap(remote, 7n, 9n).read(back, remote).send(Buffer.from('over'));
      assert.equal(batch.length, 5);
      assert.deepEqual(await batch.post(), [8, 1n, 7n, 8, 4]);
      assert.equal(back.readBigUInt64LE(), 9n);
      assert.equal((await server.receive()).data.toString(), 'over');
      assert.equal(batch.length, 0);
      for (let n = 0; n < 9; n++) batch.send(undefined, { immediate: n });
      await assert.rejects(batch.post(), { code: 'ERR_INVALID_OPTION', message: /at most 8/ });
    });

    it('without_events_by_polling', async () => {
      const { server, client } = await join({ polling: true });
      const sent = client.send(Buffer.from('polled'));
      const received = server.receive();
      await delay(50);
      assert.equal(client.outstanding, 1);
      for (let done = 0; done < 2; done += client.poll() + server.poll()) await delay(1);
      assert.equal(await sent, 6);
      assert.equal((await received).data.toString(), 'polled');
      assert.equal(client.poll(), 0);
      const last = client.send(Buffer.from('the last'));
      const closing = client.close();
      let closed = false;
      void closing.then(() => (closed = true));
      for (let done = 0; done < 1; done += client.poll()) await delay(1);
      assert.equal(await last, 8);
      await closing;
      assert.equal(closed, true);
      assert.throws(() => client.poll(), { code: 'ERR_CLOSED' });
    });

    it('over_a_protection_domain_and_a_cache_of_the_programs_own', async () => {
      using context = openDevice();
      using protectionDomain = context.createProtectionDomain();
      using cache = createCache(protectionDomain);
      const both = await join({ protectionDomain, cache });
      const { server, client } = both;
      assert.equal(client.cache, cache);
      await Promise.all([client.send(Buffer.from('mine')), server.receive()]);
      assert.deepEqual(inUse(client), [BUFFERS, BUFFERS]);
      await client.close();
      assert.deepEqual(inUse(client), [BUFFERS]);
      await both.close();
      assert.deepEqual(inUse(client), []);
    });
  });

  describe('holds back', () => {
    it('what_is_more_than_its_depth_and_keeps_the_order', async () => {
      const { server, client } = await join({ sendDepth: 4, receiveBuffers: 2, receiveSize: 4096 });
      const buffers = Array.from({ length: 50 }, (_, n) => allocatePageAligned(4096).fill(n));
      const held = inUse(client);
      assert.deepEqual(held, [2 * 4096, 2 * 4096]);
      const sends = buffers.map((buffer) => client.send(buffer));
      assert.equal(client.outstanding, 50);
      assert.deepEqual(inUse(client), [4096, 4096, 4096, 4096, ...held], 'what waits is not registered yet');
      for (let n = 0; n < 50; n++) {
        using message = await server.receive();
        assert.ok(message.data.equals(buffers[n]), `message ${n}`);
      }
      assert.deepEqual(new Set(await Promise.all(sends)), new Set([4096]));
      assert.equal(client.outstanding, 0);
      assert.deepEqual(inUse(client), held);
    });

    it('a_batch_until_there_is_room_for_all_of_it', async () => {
      const { server, client } = await join({ sendDepth: 4, receiveBuffers: 1 });
      const first = [1, 2].map((n) => client.send(Buffer.from([n])));
      const batch = client.batch();
      for (const n of [3, 4, 5]) batch.send(Buffer.from([n]));
      const posted = batch.post();
      const last = client.send(Buffer.from([6]));
      const order: number[] = [];
      for (let n = 0; n < 6; n++) {
        using message = await server.receive();
        order.push(message.data[0]);
      }
      await Promise.all([...first, posted, last]);
      assert.deepEqual(order, [1, 2, 3, 4, 5, 6]);
    });
  });

  describe('gives up', () => {
    it('what_waits_for_its_turn_and_does_not_do_it', async () => {
      const { server, client } = await join({ sendDepth: 1, receiveBuffers: 1 });
      const controller = new AbortController();
      const reason = new Error('enough');
      // The peer has one buffer, and somebody is using it.
      await client.send(Buffer.from('first'));
      const blocked = client.send(Buffer.from('second'));
      const aborted = client.send(Buffer.from('never'), { signal: controller.signal });
      const after = client.send(Buffer.from('third'));
      controller.abort(reason);
      await assert.rejects(aborted, reason);
      const texts: string[] = [];
      for (let n = 0; n < 3; n++) {
        using message = await server.receive();
        texts.push(message.data.toString());
      }
      assert.deepEqual(texts, ['first', 'second', 'third']);
      await Promise.all([blocked, after]);
      await assert.rejects(client.send(Buffer.from('x'), { signal: controller.signal }), reason);
    });

    it('what_is_posted_but_keeps_it_registered_until_the_device_is_done', async () => {
      const { server, client } = await join({ receiveBuffers: 1 });
      await client.send(Buffer.from('first'));
      const memory = allocatePageAligned(4096).fill(3);
      const before = inUse(client);
      const controller = new AbortController();
      const posted = client.send(memory, { signal: controller.signal });
      controller.abort();
      await assert.rejects(posted, { name: 'AbortError' });
      assert.equal(client.outstanding, 1);
      assert.deepEqual(inUse(client), [4096, ...before], 'the device may still read it');
      (await server.receive()).release();
      assert.ok((await server.receive()).data.equals(memory), 'it was sent all the same');
      await client.idle();
      assert.deepEqual(inUse(client), before);
    });

    it('waiting_for_its_memory_which_is_not_its_own_before_the_message_is_there', async () => {
      const { server, client } = await join({ receiveBuffers: 0 }, {});
      const memory = allocatePageAligned(4096);
      const received = server.receive(memory);
      const reason = new Error('enough');
      const controller = new AbortController();
      const waiting = server.idle({ signal: controller.signal });
      let idle = false;
      const ended = server.idle().then(() => (idle = true));
      await delay(20);
      assert.equal(idle, false);
      assert.deepEqual(inUse(server), [4096, BUFFERS]);
      await client.send(Buffer.from('into it'));
      await Promise.all([received, ended, waiting]);
      assert.deepEqual(inUse(server), [BUFFERS]);

      const never = server.receive(memory);
      const given = server.idle({ signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(given, reason);
      await server.close();
      await assert.rejects(never, { code: 'ERR_CLOSED' });
      await server.idle();
    });

    it('receiving_and_loses_no_message', async () => {
      const { server, client } = await join();
      const controller = new AbortController();
      const given = server.receive(undefined, { signal: controller.signal });
      controller.abort();
      await assert.rejects(given, { name: 'AbortError' });
      const next = server.receive();
      await client.send(Buffer.from('kept'));
      assert.equal((await next).data.toString(), 'kept');
    });

    it('accepting', async () => {
      await using listener = await listen();
      await assert.rejects(listener.accept({ signal: AbortSignal.timeout(1) }), { name: 'TimeoutError' });
    });
  });

  describe('ends', () => {
    it('when_the_peer_closes_and_its_iterator_with_it', async () => {
      const { server, client } = await join();
      const texts: string[] = [];
      const reading = (async () => {
        for await (const { data } of server.messages()) texts.push(data.toString());
      })();
      const closed = once(server, 'close') as Promise<[RegcacheError]>;
      void client.send(Buffer.from('one'));
      void client.send(Buffer.from('two'));
      await client.close();
      await reading;
      assert.deepEqual(texts, ['one', 'two'], 'what was sent before closing arrives');
      const [error] = await closed;
      assert.deepEqual([error.code, error.cause, server.closed], ['ERR_DISCONNECTED', undefined, true]);
      await assert.rejects(server.send(Buffer.from('x')), { code: 'ERR_DISCONNECTED' });
      await assert.rejects(client.send(Buffer.from('x')), { code: 'ERR_CLOSED' });
      await assert.rejects(client.receive(), { code: 'ERR_CLOSED' });
    });

    it('with_the_status_of_the_request_that_broke_it', async () => {
      const { server, client } = await join();
      const exposed = server.expose(allocatePageAligned(4096));
      const closed = once(client, 'close') as Promise<[RegcacheError]>;
      exposed.close();
      const bad = client.write(Buffer.alloc(10), exposed);
      const next = client.write(Buffer.alloc(10), exposed);
      const waiting = client.receive();
      const status = COMPLETION_STATUSES.indexOf('REM_ACCESS_ERR');
      await assert.rejects(bad, {
        code: 'ERR_WORK_COMPLETION',
        status,
        message: /REM_ACCESS_ERR, the peer refused/,
      });
      const broke = { code: 'ERR_DISCONNECTED', status, message: /connection broke: .*REM_ACCESS_ERR/ };
      await assert.rejects(next, broke);
      await assert.rejects(waiting, broke);
      await assert.rejects(async () => {
        for await (const message of client.messages()) message.release();
      }, broke);
      assert.equal(((await closed)[0].cause as RegcacheError).code, 'ERR_WORK_COMPLETION');
    });

    it('when_a_message_is_longer_than_the_buffers_of_the_peer', async () => {
      const { client, server } = await join({ receiveSize: 100 });
      const waiting = server.receive();
      const sending = client.send(Buffer.alloc(101));
      await assert.rejects(waiting, { code: 'ERR_DISCONNECTED' });
      await assert.rejects(sending, {
        code: 'ERR_WORK_COMPLETION',
        message: /failed: REM_(INV_REQ|OP)_ERR, the peer /,
      });
    });

    it('at_once_when_it_is_destroyed_and_lets_go_of_all_memory', async () => {
      const { server, client } = await join({ sendDepth: 2, receiveBuffers: 1 });
      const mine = client.expose(allocatePageAligned(4096));
      const sends = [1, 2, 3, 4].map((n) => client.send(allocatePageAligned(4096).fill(n)));
      client.destroy();
      const ended = await Promise.allSettled(sends);
      assert.ok(ended.some(({ status }) => status === 'rejected'));
      for (const each of ended)
        if (each.status === 'rejected') assert.equal((each.reason as RegcacheError).code, 'ERR_CLOSED');
      assert.equal(server.cache.registrations().filter(({ address }) => address === mine.address).length, 0);
      assert.deepEqual(inUse(server), [65_536], 'the receive buffer of the other end');
      assert.equal(client.outstanding, 0);
    });
  });

  describe('closes', () => {
    /** Both ends have sent more than the other takes in. */
    const full = async () => {
      const { server, client } = await join({ receiveBuffers: 1 });
      const sends = [server, client].flatMap((end) => [1, 2, 3].map((n) => end.send(Buffer.from([n]))));
      await Promise.all([sends[0], sends[3]]);
      return { server, client, left: Promise.allSettled([...sends.slice(1, 3), ...sends.slice(4)]) };
    };

    it('though_both_ends_wait_for_the_other_once_a_signal_says_so', async () => {
      const { server, client, left } = await full();
      const reason = new Error('long enough');
      const controller = new AbortController();
      let settled = 0;
      const closings = [client.close({ signal: controller.signal }), server.close()];
      for (const closing of closings) void closing.catch(() => undefined).finally(() => settled++);
      await delay(100);
      assert.deepEqual([settled, client.closed, server.closed], [0, false, false]);
      controller.abort(reason);
      await assert.rejects(closings[0], reason);
      assert.equal(client.closed, true);
      await closings[1];
      for (const each of await left) {
        const { code } = (each as PromiseRejectedResult).reason as RegcacheError;
        assert.match(code, /^ERR_(CLOSED|DISCONNECTED|WORK_COMPLETION)$/);
      }
    });

    it('though_it_waits_for_the_peer_once_it_is_destroyed', async () => {
      const { client, left } = await full();
      const closing = client.close();
      client.destroy();
      await closing;
      await left;
    });

    it('though_the_program_holds_a_registration_of_the_cache_which_ends_with_it', async () => {
      const both = await join();
      const { client } = both;
      const { cache } = client;
      const mine = cache.acquire(allocatePageAligned(4096));
      await both.close();
      assert.deepEqual([inUse(client), cache.closed], [[4096], false]);
      mine.release();
      await cache.end();
      assert.equal(cache.closed, true);
    });
  });

  describe('refuses', () => {
    it('to_connect_where_nobody_listens', async () => {
      const free = await listen();
      const { port } = free;
      await free.close();
      await assert.rejects(connect({ host: hostOfDevice(), port }), {
        code: 'ECONNREFUSED',
        syscall: 'rdma_connect',
        message: /nobody listens/,
      });
    });

    it('an_address_that_no_device_has', async () => {
      await assert.rejects(listen({ host: '203.0.113.9' }), {
        name: 'RegcacheError',
        syscall: 'rdma_bind_addr',
        message: /no RDMA device has that address/,
      });
      const elsewhere = { host: '203.0.113.9', port: 1 };
      await assert.rejects(connect(elsewhere), {
        name: 'RegcacheError',
        message: /no RDMA device has a way/,
      });
      await assert.rejects(listen(elsewhere), {
        message: /no RDMA device has that address .* another program/,
      });
    });

    it('a_port_that_is_taken_and_connections_over_the_backlog', async () => {
      await using listener = await listen({ backlog: 1 });
      const { port } = listener;
      const shown = `Listener { port: ${port}, connecting: 0, waiting: 0, closed: false }`;
      assert.equal(inspect(listener, { breakLength: Infinity }), shown);
      const facts = { port, connecting: 0, waiting: 0, closed: false };
      assert.deepEqual(JSON.parse(JSON.stringify(listener)), facts);
      await assert.rejects(listen({ port }), { code: 'EADDRINUSE' });
      const host = hostOfDevice();
      const first = await connect({ host, port });
      await assert.rejects(connect({ host, port }), { code: 'ECONNREFUSED' });
      const accepted = await listener.accept();
      const third = await connect({ host, port });
      await Promise.all([first, accepted, third].map((endpoint) => endpoint.close()));
      const waiting = listener.accept();
      await listener.close();
      await assert.rejects(waiting, { code: 'ERR_CLOSED' });
      for await (const endpoint of listener) assert.fail(`${endpoint.outstanding} outstanding`);
    });

    it('a_peer_whose_rkey_was_taken_back_though_the_bytes_are_exposed_again', async () => {
      const { server, client } = await join();
      const memory = allocatePageAligned(4096);
      const [first, second] = [server.expose(memory), server.expose(memory)];
      first.close();
      await client.write(Buffer.from('again'), second);
      assert.equal(memory.toString('latin1', 0, 5), 'again');
      await assert.rejects(client.write(Buffer.from('never'), first), {
        code: 'ERR_WORK_COMPLETION',
        message: /REM_ACCESS_ERR/,
      });
      assert.equal(memory.toString('latin1', 0, 5), 'again');
    });

    it('what_makes_no_sense_with_a_code', async () => {
      const invalid = { code: 'ERR_INVALID_OPTION' };
      await assert.rejects(connect({ host: '', port: 1 }), invalid);
      await assert.rejects(connect({ host: 'localhost', port: 0 }), invalid);
      await assert.rejects(connect({ host: 'localhost', port: 1, depth: 4 } as never), invalid);
      await assert.rejects(listen({ sendDepth: 0 }), invalid);
      await assert.rejects(listen({ retries: 8 }), invalid);
      await assert.rejects(listen({ cache: {} as never }), invalid);
      assert.throws(() => new Endpoint({} as never), invalid);
      assert.throws(() => new Listener({} as never, {} as never, 1), invalid);

      const { server, client } = await join();
      const memory = allocatePageAligned(4096);
      const remote = server.expose(memory, ALL);
      const bytes = Buffer.alloc(8);
      await assert.rejects(client.send('text' as never), { code: 'ERR_NOT_MEMORY' });
      await assert.rejects(client.send(Buffer.alloc(0)), { code: 'ERR_INVALID_LENGTH' });
      await assert.rejects(client.send(bytes, { immediate: -1 }), invalid);
      await assert.rejects(client.send(bytes, { offset: 1 } as never), invalid);
      await assert.rejects(client.send(bytes, { signal: {} as never }), invalid);
      await assert.rejects(client.write(bytes, remote, { offset: 4089 }), { code: 'ERR_INVALID_LENGTH' });
      await assert.rejects(client.write(bytes, { address: 1, length: 8 } as never), invalid);
      using context = openDevice();
      const long = context.queryPort().maxMessageLength + 1;
      // The Soft-RoCE of newer kernels takes more than a test should pin.
      if (long < 2 ** 28) {
        await assert.rejects(client.read(Buffer.alloc(long), { ...remote.toJSON(), length: long }), {
          code: 'ERR_INVALID_LENGTH',
          message: /in parts/,
        });
      }
      await assert.rejects(client.fetchAndAdd(remote, 1n, { offset: 4 }), { code: 'ERR_INVALID_ADDRESS' });
      await assert.rejects(client.fetchAndAdd(remote, 1 as never), invalid);
      await assert.rejects(client.receive(bytes), invalid);
      assert.throws(() => client.expose(memory, Access.LOCAL_WRITE), { code: 'ERR_INVALID_ACCESS' });
      // And none of it has done any harm.
      await client.write(bytes.fill(4), remote);
      assert.equal(memory[7], 4);
      assert.deepEqual(
        inUse(client),
        [4096, 4096, BUFFERS, BUFFERS],
        'what is exposed, and where atomics put what they find',
      );
    });
  });

  describe('to another process', () => {
    it('reads_writes_and_gets_back_what_it_sends', async () => {
      const { process: peer, port } = await startPeer();
      await using endpoint = await connect({ host: hostOfDevice(), port });
      await exchange(endpoint);
      peer.kill();
      await once(peer, 'exit');
    });

    it('that_is_killed_in_a_transfer_says_so_leaves_nothing_and_connects_to_the_next', async () => {
      const atFirst = kernelState();
      for (let round = 0; round < 3; round++) {
        const { process: peer, port } = await startPeer();
        const endpoint = await connect({ host: hostOfDevice(), port });
        const remote = await exchange(endpoint);
        const closed = once(endpoint, 'close') as Promise<[RegcacheError]>;
        const receiving = endpoint.receive();
        receiving.catch(() => undefined);
        const errors = await writeUntilLost(endpoint, remote, () => peer.kill('SIGKILL'));
        assert.equal(errors.length, 4);
        for (const { code, message } of errors) {
          assert.ok(code === 'ERR_DISCONNECTED' || code === 'ERR_WORK_COMPLETION', message);
          assert.match(message, /its process ended|the connection broke|failed: [A-Z_]+, /);
        }
        await assert.rejects(receiving, { code: 'ERR_DISCONNECTED' });
        assert.equal((await closed)[0].code, 'ERR_DISCONNECTED');
        await endpoint.close();
        await settlesAt(atFirst);
      }
    });
  });
});
