import assert from 'node:assert/strict';
import { bytesAt } from '../../src/system/mapping.js';
import { listOf, ReceiveRequests, SendFlag, SendRequests } from '../../src/verbs/work-request.js';

const SEND_SIZE = 128;
const RECEIVE_SIZE = 32;
const SGE_SIZE = 16;

/** All bytes of a list: its requests, then their segments. */
const bytesOf = (requests: SendRequests | ReceiveRequests): Buffer =>
  bytesAt(
    requests.address,
    requests.capacity *
      ((requests instanceof SendRequests ? SEND_SIZE : RECEIVE_SIZE) + requests.maxSegments * SGE_SIZE),
  );

const u64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));

describe('a list of work requests', () => {
  it('refuses_ids_addresses_and_keys_that_are_no_numbers_of_their_size', () => {
    const requests = new SendRequests();
    const send = (id: unknown, address: unknown, lkey: unknown) => () =>
      requests.send(id as number, address as number, 10, lkey as number);
    for (const id of [-1, 2 ** 60, NaN, 'x'])
      assert.throws(send(id, 4096, 1), { code: 'ERR_INVALID_OPTION' });
    for (const address of ['x', NaN, -4096, 2 ** 60]) {
      assert.throws(send(1, address, 1), { code: 'ERR_INVALID_ADDRESS' });
    }
    for (const lkey of [-1, 2 ** 32, 'lkey'])
      assert.throws(send(1, 4096, lkey), { code: 'ERR_INVALID_OPTION' });
    assert.equal(requests.length, 0);
  });

  it('write_is_encoded_byte_for_byte', () => {
    const requests = new SendRequests().write(
      0x1f_ffff_ffff_fffe,
      0x7f12_3456_789a,
      0xffff_ffff,
      0xa1a2a3a4,
      0x7fee_dcba_9876,
      0xb1b2b3b4,
      SendFlag.SIGNALED | SendFlag.FENCE,
    );
    const sge = requests.address + SEND_SIZE;
    const expected = Buffer.alloc(SEND_SIZE + SGE_SIZE);
    expected.write('feffffffffff1f00', 0, 'hex'); // wr_id
    expected.writeBigUInt64LE(0n, 8); // next
    expected.writeBigUInt64LE(BigInt(sge), 16); // sg_list
    expected.write('01000000', 24, 'hex'); // num_sge
    expected.write('00000000', 28, 'hex'); // IBV_WR_RDMA_WRITE
    expected.write('03000000', 32, 'hex'); // send_flags
    expected.write('7698badcee7f0000', 40, 'hex'); // remote_addr
    expected.write('b4b3b2b1', 48, 'hex'); // rkey
    expected.write('9a785634127f0000', SEND_SIZE, 'hex'); // sge.addr
    expected.write('ffffffff', SEND_SIZE + 8, 'hex'); // sge.length
    expected.write('a4a3a2a1', SEND_SIZE + 12, 'hex'); // sge.lkey
    assert.equal(bytesOf(requests).toString('hex'), expected.toString('hex'));
  });

  it('each_method_writes_its_opcode', () => {
    const requests = new SendRequests(7)
      .write(1, 4096, 1, 2, 3, 4)
      .writeWithImmediate(1, 4096, 1, 2, 3, 4, 5)
      .send(1, 4096, 1, 2)
      .sendWithImmediate(1, 4096, 1, 2, 5)
      .read(1, 4096, 1, 2, 3, 4)
      .compareAndSwap(1, 4096, 2, 3, 4, 5n, 6n)
      .fetchAndAdd(1, 4096, 2, 3, 4, 5n);
    const bytes = bytesOf(requests);
    const opcodes = Array.from({ length: 7 }, (_, i) => bytes.readInt32LE(i * SEND_SIZE + 28));
    assert.deepEqual(opcodes, [0, 1, 2, 3, 4, 5, 6]);
  });

  it('immediate_data_is_in_network_byte_order', () => {
    const requests = new SendRequests(2)
      .sendWithImmediate(1, 4096, 1, 2, 0x8a0b0c0d)
      .writeWithImmediate(2, 4096, 1, 2, 3, 4, 0x01020304);
    const bytes = bytesOf(requests);
    assert.equal(bytes.toString('hex', 36, 40), '8a0b0c0d');
    assert.equal(bytes.toString('hex', SEND_SIZE + 36, SEND_SIZE + 40), '01020304');
  });

  it('atomics_carry_all_64_bits', () => {
    const requests = new SendRequests(2)
      .compareAndSwap(1, 4096, 2, 0x7fee_dcba_9870, 0xb1b2b3b4, 0x8877665544332211n, -1n)
      .fetchAndAdd(2, 4096, 2, 8, 4, -2n);
    const bytes = bytesOf(requests);
    assert.equal(u64(bytes, 40), 0x7fee_dcba_9870);
    assert.equal(bytes.readBigUInt64LE(48), 0x8877665544332211n);
    assert.equal(bytes.readBigUInt64LE(56), 0xffffffffffffffffn);
    assert.equal(bytes.readUInt32LE(64), 0xb1b2b3b4);
    assert.equal(bytes.readBigInt64LE(SEND_SIZE + 48), -2n);
    assert.equal(bytes.readUInt32LE(2 * SEND_SIZE + 8), 8, 'an atomic works on 8 bytes');
  });

  it('requests_are_linked_in_order_and_end', () => {
    const requests = new SendRequests(4);
    for (let i = 0; i < 4; i++) requests.send(i, 4096, 1, 2);
    const bytes = bytesOf(requests);
    const next = Array.from({ length: 4 }, (_, i) => u64(bytes, i * SEND_SIZE + 8));
    assert.deepEqual(next, [...[1, 2, 3].map((i) => requests.address + i * SEND_SIZE), 0]);
    assert.equal(listOf(requests, 'send').indexOf(next[1]), 2);
  });

  it('a_shorter_list_written_after_clear_ends_where_it_ends', () => {
    const requests = new ReceiveRequests(3);
    for (let i = 0; i < 3; i++) requests.receive(i, 4096, 1, 2);
    requests.clear().receive(8, 4096, 1, 2).receive(9, 4096, 1, 2);
    const bytes = bytesOf(requests);
    assert.equal(requests.length, 2);
    assert.equal(u64(bytes, 8), requests.address + RECEIVE_SIZE);
    assert.equal(u64(bytes, RECEIVE_SIZE + 8), 0);
  });

  it('segments_of_one_request_lie_together_and_apart_from_the_others', () => {
    const requests = new SendRequests(2, 3)
      .send(1, 0x1000, 1, 11)
      .addSegment(0x2000, 2, 12)
      .addSegment(0x3000, 3, 13)
      .send(2, 0x4000, 4, 14);
    const bytes = bytesOf(requests);
    const segments = (request: number): number[][] =>
      Array.from({ length: bytes.readInt32LE(request * SEND_SIZE + 24) }, (_, i) => {
        const at = u64(bytes, request * SEND_SIZE + 16) - requests.address + i * SGE_SIZE;
        return [u64(bytes, at), bytes.readUInt32LE(at + 8), bytes.readUInt32LE(at + 12)];
      });
    assert.deepEqual(segments(0), [
      [0x1000, 1, 11],
      [0x2000, 2, 12],
      [0x3000, 3, 13],
    ]);
    assert.deepEqual(segments(1), [[0x4000, 4, 14]]);
  });

  it('an_empty_segment_is_left_out', () => {
    const requests = new SendRequests(1, 2).send(1, 0, 0, 0);
    assert.equal(bytesOf(requests).readInt32LE(24), 0);
    requests.addSegment(0x2000, 2, 12);
    assert.equal(bytesOf(requests).readInt32LE(24), 1);
  });

  it('what_does_not_fit_is_refused_and_changes_nothing', () => {
    const requests = new SendRequests(1, 1);
    assert.throws(() => requests.addSegment(0, 1, 0), { code: 'ERR_INVALID_OPTION' });
    assert.throws(() => requests.send(1, 4096, 2 ** 32, 0), { code: 'ERR_INVALID_LENGTH' });
    assert.throws(() => requests.send(1, 4096, -1, 0), { code: 'ERR_INVALID_LENGTH' });
    assert.equal(requests.length, 0);
    requests.send(1, 4096, 1, 0);
    assert.throws(() => requests.send(2, 4096, 1, 0), { code: 'ERR_INVALID_OPTION' });
    assert.throws(() => requests.addSegment(0, 1, 0), { code: 'ERR_INVALID_OPTION' });
    assert.equal(requests.length, 1);
    assert.throws(() => new SendRequests(0), { code: 'ERR_INVALID_OPTION' });
    assert.throws(() => new ReceiveRequests(1, 0), { code: 'ERR_INVALID_OPTION' });
  });
});
