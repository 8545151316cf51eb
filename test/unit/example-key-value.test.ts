import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { KeyValueClient } from '../../examples/key-value/client.js';
import { encodePut } from '../../examples/key-value/protocol.js';
import { decode, fits, Table } from '../../examples/key-value/table.js';

describe('example: key-value, its table', () => {
  const SLOT_BYTES = 256;
  /** The first slot of a table of one slot, as a reader gets it. */
  const snapshot = ({ memory }: Table): Buffer => Buffer.from(memory);

  it('of_a_slot_that_is_partly_old_and_partly_new_no_mix_is_taken_for_a_value', () => {
    const table = new Table({ slots: 1, slotBytes: SLOT_BYTES });
    for (const [before, after] of [
      [100, 100],
      [100, 200],
      [200, 0],
    ]) {
      table.put('key', randomBytes(before));
      const old = snapshot(table);
      table.put('key', randomBytes(after));
      const now = snapshot(table);
      for (let cut = 1; cut < SLOT_BYTES; cut++) {
        for (const [head, tail] of [
          [old, now],
          [now, old],
        ]) {
          const mix = Buffer.concat([head.subarray(0, cut), tail.subarray(cut)]);
          const found = decode(mix);
          // What is behind the end of a value is nobody's.
          const isWhole = [old, now].some((whole) => {
            const end = 20 + whole.readUInt32LE(12) + whole.readUInt32LE(16);
            return whole.subarray(0, end).equals(mix.subarray(0, end));
          });
          assert.equal(found === 'torn', !isWhole, `cut at ${cut}`);
        }
      }
    }
  });

  it('a_slot_that_is_written_for_the_first_time_is_free_or_torn_until_it_is_whole', () => {
    const table = new Table({ slots: 1, slotBytes: SLOT_BYTES });
    const old = snapshot(table);
    assert.equal(decode(old), 'free');
    const value = randomBytes(100);
    table.put('key', value);
    const now = snapshot(table);
    for (let cut = 1; cut < 123; cut++) {
      assert.equal(typeof decode(Buffer.concat([now.subarray(0, cut), old.subarray(cut)])), 'string');
      const tail = decode(Buffer.concat([old.subarray(0, cut), now.subarray(cut)]));
      assert.equal(typeof tail, 'string', `cut at ${cut}`);
    }
    assert.deepEqual(decode(now), { key: 'key', value, version: 1 });
  });

  it('has_room_for_what_fits_to_the_last_byte', () => {
    const table = new Table({ slots: 1, slotBytes: SLOT_BYTES });
    const value = randomBytes(SLOT_BYTES - 20 - 2);
    assert.ok(fits(table, 'ä', value));
    assert.ok(!fits(table, 'äb', value));
    table.put('ä', value);
    assert.deepEqual(decode(snapshot(table)), { key: 'ä', value, version: 1 });
  });
});

describe('example: key-value, its messages', () => {
  it('a_put_of_all_that_fits_fits_in_a_buffer_as_long_as_a_slot', () => {
    const shape = { slots: 1, slotBytes: 256 };
    const value = randomBytes(256 - 20 - 3);
    assert.ok(fits(shape, 'key', value));
    assert.ok(encodePut('key', value).length <= shape.slotBytes);
  });

  it('a_put_that_cannot_be_sent_leaves_no_call_behind_that_would_take_the_answer_to_the_next', async () => {
    const FAILED = new Error('no memory');
    const waiting: ((reason: Error) => void)[] = [];
    const endpoint = {
      receive: () => new Promise((_, reject) => waiting.push(reject)),
      send: () => Promise.reject(FAILED),
      destroy: () => {
        for (const reject of waiting.splice(0)) reject(new Error('closed'));
      },
    };
    const table = { slots: 1, slotBytes: 256 };
    const client = Reflect.construct(KeyValueClient, [endpoint, table]) as KeyValueClient;
    await assert.rejects(client.put('key', randomBytes(10)), FAILED);
    assert.equal(waiting.length, 0);
  });
});
