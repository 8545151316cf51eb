import assert from 'node:assert/strict';
import { Access } from '../../src/access.js';
import { ReceiveRequests, SendFlag, SendRequests } from '../../src/verbs/work-request.js';
import { COMPLETION_STATUSES } from '../../src/verbs/work-completion.js';
import { needs } from '../needs.js';
import { completions, connectedPair, PAGE_SIZE, Side, type RegisteredMemory } from './verbs-fixture.js';

/** Bytes that differ from place to place, also from page to page. */
function fill(memory: RegisteredMemory, seed: number): void {
  for (let i = 0; i < memory.bytes.length; i++) memory.bytes[i] = (i * 7 + (i >> 8) + seed) & 0xff;
}

describe('a connected queue pair', () => {
  before(function () {
    needs(this, 'rdma-device');
  });

  it('send_arrives_in_posted_receive', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    from.bytes.write('hello, peer');
    b.qp.postReceive(new ReceiveRequests().receive(2 ** 53 - 1, to.address, 100, to.region.lkey));
    a.qp.postSend(new SendRequests().send(8, from.address, 11, from.region.lkey));
    const [sent] = await completions(a.cq, 1);
    const [received] = await completions(b.cq, 1);
    assert.deepEqual(
      { ...sent, byteLength: 0 },
      { id: 8, status: 'SUCCESS', opcode: 'SEND', byteLength: 0, qpNumber: a.qp.number, vendorError: 0 },
    );
    assert.deepEqual(received, {
      id: 2 ** 53 - 1,
      status: 'SUCCESS',
      opcode: 'RECV',
      byteLength: 11,
      qpNumber: b.qp.number,
      vendorError: 0,
    });
    assert.equal(to.bytes.toString('latin1', 0, 12), 'hello, peer\0');
  });

  it('a_list_of_the_other_kind_is_refused', () => {
    using pair = connectedPair();
    const { qp } = pair.a;
    assert.throws(
      () => {
        qp.postSend(new ReceiveRequests() as unknown as SendRequests);
      },
      { code: 'ERR_INVALID_OPTION' },
    );
    assert.throws(
      () => {
        qp.postReceive(new SendRequests() as unknown as ReceiveRequests);
      },
      { code: 'ERR_INVALID_OPTION' },
    );
  });

  it('send_is_gathered_and_scattered', async () => {
    using pair = connectedPair({ maxSendSegments: 2, maxReceiveSegments: 2 });
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    from.bytes.write('abcdefgh', 0);
    from.bytes.write('ijklmnop', 100);
    const { lkey } = to.region;
    b.qp.postReceive(
      new ReceiveRequests(1, 2).receive(1, to.address, 3, lkey).addSegment(to.address + 50, 20, lkey),
    );
    a.qp.postSend(
      new SendRequests(1, 2)
        .send(2, from.address, 8, from.region.lkey)
        .addSegment(from.address + 100, 8, from.region.lkey),
    );
    const [received] = await completions(b.cq, 1);
    assert.equal(received.byteLength, 16);
    assert.equal(to.bytes.toString('latin1', 0, 4), 'abc\0');
    assert.equal(to.bytes.toString('latin1', 50, 64), 'defghijklmnop\0');
  });

  it('inline_send_needs_no_region_and_may_be_overwritten_at_once', async () => {
    using pair = connectedPair({ maxInline: 64 });
    const { a, b } = pair;
    const to = b.memory(PAGE_SIZE);
    const from = a.memory(PAGE_SIZE);
    from.region.close();
    from.bytes.write('inline');
    b.qp.postReceive(new ReceiveRequests().receive(1, to.address, 64, to.region.lkey));
    a.qp.postSend(new SendRequests().send(2, from.address, 6, 0, SendFlag.SIGNALED | SendFlag.INLINE));
    from.bytes.fill(0);
    await completions(b.cq, 1);
    assert.equal(to.bytes.toString('latin1', 0, 7), 'inline\0');
    assert.ok(a.qp.maxInline >= 64);
  });

  it('write_lands_at_the_remote_address_and_nowhere_else', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const length = 16 * PAGE_SIZE;
    const from = a.memory(length);
    const to = b.memory(length);
    fill(from, 0);
    const { lkey } = from.region;
    const write = new SendRequests().write(
      1,
      from.address + 5,
      length - 9,
      lkey,
      to.address + 3,
      to.region.rkey,
    );
    a.qp.postSend(write);
    const [written] = await completions(a.cq, 1);
    assert.equal(written.status, 'SUCCESS');
    assert.equal(written.opcode, 'RDMA_WRITE');
    const expected = Buffer.concat([Buffer.alloc(3), from.bytes.subarray(5, length - 4), Buffer.alloc(6)]);
    assert.ok(to.bytes.equals(expected));
    assert.deepEqual(b.cq.poll(), [], 'the peer is not told');
  });

  it('read_fetches_the_remote_bytes', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const length = 8 * PAGE_SIZE;
    const into = a.memory(length);
    const source = b.memory(length);
    fill(source, 3);
    const { lkey } = into.region;
    const read = new SendRequests().read(
      1,
      into.address + 1,
      length - 2,
      lkey,
      source.address + 2,
      source.region.rkey,
    );
    a.qp.postSend(read);
    const [done] = await completions(a.cq, 1);
    assert.equal(done.status, 'SUCCESS');
    assert.equal(done.opcode, 'RDMA_READ');
    const expected = Buffer.concat([Buffer.alloc(1), source.bytes.subarray(2), Buffer.alloc(1)]);
    assert.ok(into.bytes.equals(expected));
  });

  it('immediate_data_arrives_with_send_and_with_write', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    from.bytes.write('with immediate');
    b.qp.postReceive(new ReceiveRequests(2).receive(1, to.address, 16, to.region.lkey).receive(2, 0, 0, 0));
    const { lkey } = from.region;
    a.qp.postSend(
      new SendRequests(2)
        .sendWithImmediate(3, from.address, 4, lkey, 0x8a0b0c0d)
        .writeWithImmediate(4, from.address, 14, lkey, to.address + 100, to.region.rkey, 0x01020304),
    );
    const received = await completions(b.cq, 2);
    assert.deepEqual(
      received.map(({ id, opcode, byteLength, immediate }) => ({ id, opcode, byteLength, immediate })),
      [
        { id: 1, opcode: 'RECV', byteLength: 4, immediate: 0x8a0b0c0d },
        { id: 2, opcode: 'RECV_RDMA_WITH_IMM', byteLength: 14, immediate: 0x01020304 },
      ],
    );
    assert.equal(to.bytes.toString('latin1', 100, 115), 'with immediate\0');
  });

  it('atomics_change_the_remote_word_and_return_the_old_one', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const into = a.memory(PAGE_SIZE);
    const target = b.memory(PAGE_SIZE);
    const { lkey } = into.region;
    const { rkey } = target.region;
    target.bytes.writeBigUInt64LE(0x8000_0000_0000_0001n, 8);
    a.qp.postSend(
      new SendRequests(3)
        .compareAndSwap(1, into.address, lkey, target.address + 8, rkey, 0x8000_0000_0000_0001n, 40n)
        .fetchAndAdd(2, into.address + 8, lkey, target.address + 8, rkey, 2n)
        .compareAndSwap(3, into.address + 16, lkey, target.address + 8, rkey, 1n, 99n),
    );
    const done = await completions(a.cq, 3);
    assert.deepEqual(
      done.map(({ status, opcode }) => [status, opcode]),
      [
        ['SUCCESS', 'COMP_SWAP'],
        ['SUCCESS', 'FETCH_ADD'],
        ['SUCCESS', 'COMP_SWAP'],
      ],
    );
    const before = [0, 8, 16].map((at) => into.bytes.readBigUInt64LE(at));
    assert.deepEqual(before, [0x8000_0000_0000_0001n, 40n, 42n]);
    assert.equal(target.bytes.readBigUInt64LE(8), 42n);
  });

  it('a_batch_of_16_goes_with_one_post_and_again', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(16 * 256);
    const to = b.memory(16 * 256);
    fill(from, 1);
    const batch = new SendRequests(16);
    for (let i = 0; i < 16; i++) {
      // In reverse order, so that a batch of one big copy would not do.
      const target = to.address + (15 - i) * 256;
      batch.write(
        i,
        from.address + i * 256,
        256,
        from.region.lkey,
        target,
        to.region.rkey,
        i === 15 ? SendFlag.SIGNALED : 0,
      );
    }
    for (let round = 0; round < 3; round++) {
      fill(from, round);
      a.qp.postSend(batch);
      const done = await completions(a.cq, 1);
      assert.deepEqual([done[0].id, done[0].status], [15, 'SUCCESS'], 'only the last is signaled');
      for (let i = 0; i < 16; i++) {
        const sent = from.bytes.subarray(i * 256, (i + 1) * 256);
        assert.ok(
          to.bytes.subarray((15 - i) * 256, (16 - i) * 256).equals(sent),
          `request ${i} of round ${round}`,
        );
      }
    }
  });

  it('polling_without_objects_reads_the_same', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const memory = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    b.qp.postReceive(
      new ReceiveRequests(2)
        .receive(1, to.address, 64, to.region.lkey)
        .receive(2 ** 40 + 2, to.address, 64, to.region.lkey),
    );
    a.qp.postSend(
      new SendRequests(2)
        .send(3, memory.address, 5, memory.region.lkey)
        .sendWithImmediate(4, memory.address, 6, memory.region.lkey, 77),
    );
    await completions(a.cq, 2);
    assert.equal(b.cq.pollRaw(1), 1);
    assert.deepEqual([b.cq.idAt(0), b.cq.byteLengthAt(0), b.cq.hasImmediateAt(0)], [1, 5, false]);
    assert.equal(b.cq.pollRaw(), 1);
    assert.deepEqual(
      [
        b.cq.idAt(0),
        b.cq.statusAt(0),
        b.cq.opcodeAt(0),
        b.cq.byteLengthAt(0),
        b.cq.immediateAt(0),
        b.cq.qpNumberAt(0),
      ],
      [2 ** 40 + 2, 0, 128, 6, 77, b.qp.number],
    );
    assert.equal(b.cq.pollRaw(), 0);
  });

  it('a_full_queue_says_how_many_were_posted', async () => {
    using pair = connectedPair({ maxSends: 4 });
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    const batch = new SendRequests(60);
    for (let i = 0; i < 60; i++)
      batch.write(i, from.address, 8, from.region.lkey, to.address, to.region.rkey);
    let posted = -1;
    assert.throws(
      () => {
        a.qp.postSend(batch);
      },
      (error: { code: string; posted: number; message: string }) => {
        assert.equal(error.code, 'ENOMEM');
        assert.match(error.message, /ibv_post_send; request \d+ of 60: the queue is full/);
        posted = error.posted;
        return true;
      },
    );
    assert.ok(posted >= 4 && posted < 60, `${posted} posted`);
    const done = await completions(a.cq, posted);
    assert.deepEqual(
      done.map(({ id }) => id),
      Array.from({ length: posted }, (_, i) => i),
    );
  });
});

describe('a refused request', () => {
  before(function () {
    needs(this, 'rdma-device');
  });

  /** Write 8 bytes from a to b and expect the status; the queue pair must be broken then. */
  async function expectBroken(
    pair: ReturnType<typeof connectedPair>,
    target: { address: number; rkey: number },
    status: (typeof COMPLETION_STATUSES)[number],
    length = 8,
  ): Promise<void> {
    const { a } = pair;
    const from = a.memory(PAGE_SIZE);
    const { lkey } = from.region;
    a.qp.postSend(
      new SendRequests(2)
        .write(1, from.address, length, lkey, target.address, target.rkey)
        .write(2, from.address, length, lkey, target.address, target.rkey),
    );
    const done = await completions(a.cq, 2);
    assert.deepEqual(
      done.map((each) => [each.id, each.status, each.opcode]),
      [
        [1, status, 'UNKNOWN'],
        [2, 'WR_FLUSH_ERR', 'UNKNOWN'],
      ],
    );
    assert.equal(a.qp.queryState(), 'ERR');
  }

  it('wrong_rkey_breaks_the_queue_pair', async () => {
    using pair = connectedPair();
    const to = pair.b.memory(PAGE_SIZE);
    await expectBroken(pair, { address: to.address, rkey: (to.region.rkey ^ 0x55) >>> 0 }, 'REM_ACCESS_ERR');
    assert.ok(to.bytes.equals(Buffer.alloc(PAGE_SIZE)));
  });

  it('revoked_rkey_is_refused', async () => {
    using pair = connectedPair();
    const to = pair.b.memory(PAGE_SIZE);
    const { rkey } = to.region;
    const from = pair.a.memory(PAGE_SIZE);
    from.bytes.fill(1);
    pair.a.qp.postSend(new SendRequests().write(1, from.address, 8, from.region.lkey, to.address, rkey));
    assert.equal((await completions(pair.a.cq, 1))[0].status, 'SUCCESS', 'good before it is closed');
    to.region.close();
    to.bytes.fill(0);
    await expectBroken(pair, { address: to.address, rkey }, 'REM_ACCESS_ERR');
    assert.ok(to.bytes.equals(Buffer.alloc(PAGE_SIZE)));
  });

  it('one_byte_past_the_region_is_refused', async () => {
    using pair = connectedPair();
    const to = pair.b.memory(PAGE_SIZE);
    const { rkey } = to.region;
    await expectBroken(pair, { address: to.address + PAGE_SIZE - 7, rkey }, 'REM_ACCESS_ERR');
  });

  it('a_region_without_the_right_is_refused', async () => {
    using pair = connectedPair();
    const to = pair.b.memory(PAGE_SIZE, Access.LOCAL_WRITE | Access.REMOTE_READ);
    await expectBroken(pair, { address: to.address, rkey: to.region.rkey }, 'REM_ACCESS_ERR');
  });

  it('a_wrong_lkey_fails_on_this_side', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    const { lkey } = from.region;
    from.region.close();
    from.bytes.fill(1);
    a.qp.postSend(new SendRequests().write(1, from.address, 8, lkey, to.address, to.region.rkey));
    // Soft-RoCE calls a region that is gone a bad request (Linux 6.1), or flushes (6.12).
    const [failed] = await completions(a.cq, 1);
    assert.match(failed.status, /^(LOC_PROT|LOC_QP_OP|WR_FLUSH)_ERR$/);
    assert.ok(to.bytes.equals(Buffer.alloc(PAGE_SIZE)));
  });

  it('a_message_longer_than_the_receive_fails_on_both_sides', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    b.qp.postReceive(new ReceiveRequests().receive(1, to.address, 10, to.region.lkey));
    a.qp.postSend(new SendRequests().send(2, from.address, 11, from.region.lkey));
    const [sent] = await completions(a.cq, 1);
    const [received] = await completions(b.cq, 1);
    // Soft-RoCE calls it a bad request here and an operational error there.
    assert.match(sent.status, /^REM_(INV_REQ|OP)_ERR$/);
    assert.match(received.status, /^LOC_(LEN|QP_OP)_ERR$/);
  });

  it('no_receive_posted_runs_out_of_retries', async () => {
    const a = new Side();
    const b = new Side();
    try {
      a.qp.connect(b.qp.local, { receiverNotReadyRetries: 1 });
      b.qp.connect(a.qp.local);
      const from = a.memory(PAGE_SIZE);
      a.qp.postSend(new SendRequests().send(1, from.address, 8, from.region.lkey));
      assert.equal((await completions(a.cq, 1))[0].status, 'RNR_RETRY_EXC_ERR');
    } finally {
      a.close();
      b.close();
    }
  });

  it('a_peer_that_does_not_acknowledge_runs_out_of_retries_by_default', async () => {
    const a = new Side();
    const b = new Side();
    try {
      // The other side is not connected: its device drops what comes.
      a.qp.connect(b.qp.local);
      const from = a.memory(PAGE_SIZE);
      a.qp.postSend(new SendRequests().send(1, from.address, 8, from.region.lkey));
      assert.equal((await completions(a.cq, 1))[0].status, 'RETRY_EXC_ERR');
    } finally {
      a.close();
      b.close();
    }
  });

  it('error_state_flushes_posted_receives', async () => {
    using pair = connectedPair();
    const { b } = pair;
    const to = b.memory(PAGE_SIZE);
    b.qp.postReceive(new ReceiveRequests().receive(5, to.address, 8, to.region.lkey));
    b.qp.toError();
    const [flushed] = await completions(b.cq, 1);
    assert.deepEqual([flushed.id, flushed.status], [5, 'WR_FLUSH_ERR']);
  });

  it('a_broken_queue_pair_connects_again_after_reset', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const to = b.memory(PAGE_SIZE);
    await expectBroken(pair, { address: to.address, rkey: (to.region.rkey ^ 0x55) >>> 0 }, 'REM_ACCESS_ERR');
    for (const side of [a, b]) {
      side.qp.toReset();
      side.qp.toInit();
    }
    a.qp.connect(b.qp.local);
    b.qp.connect(a.qp.local);
    assert.equal(a.qp.queryState(), 'RTS');
    const from = a.memory(PAGE_SIZE);
    fill(from, 9);
    const { lkey } = from.region;
    a.qp.postSend(new SendRequests().write(1, from.address, PAGE_SIZE, lkey, to.address, to.region.rkey));
    assert.equal((await completions(a.cq, 1))[0].status, 'SUCCESS');
    assert.ok(to.bytes.equals(from.bytes));
  });
});

describe('waiting for completions', () => {
  before(function () {
    needs(this, 'rdma-device');
  });

  it('wakes_for_a_message_that_comes_later', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    b.qp.postReceive(
      new ReceiveRequests(2)
        .receive(1, to.address, 8, to.region.lkey)
        .receive(2, to.address, 8, to.region.lkey),
    );
    for (const id of [1, 2]) {
      const waiting = b.cq.wait();
      await new Promise((resolve) => setTimeout(resolve, 30));
      a.qp.postSend(new SendRequests().send(9, from.address, 8, from.region.lkey));
      const [received] = await waiting;
      assert.deepEqual([received.id, received.status], [id, 'SUCCESS']);
    }
  });

  it('returns_at_once_what_is_there', async () => {
    using pair = connectedPair();
    const { a, b } = pair;
    const from = a.memory(PAGE_SIZE);
    const to = b.memory(PAGE_SIZE);
    a.qp.postSend(new SendRequests().write(1, from.address, 8, from.region.lkey, to.address, to.region.rkey));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal((await a.cq.wait())[0].id, 1);
  });

  it('ends_when_aborted_or_closed', async () => {
    const side = new Side();
    const reason = new Error('enough');
    const abort = new AbortController();
    const aborted = assert.rejects(side.cq.wait(abort.signal), reason);
    const closed = assert.rejects(side.cq.wait(), { code: 'ERR_CLOSED' });
    abort.abort(reason);
    await aborted;
    await assert.rejects(side.cq.wait(AbortSignal.abort(reason)), reason);
    side.close();
    await closed;
    await assert.rejects(side.cq.wait(), { code: 'ERR_CLOSED' });
  });
});
