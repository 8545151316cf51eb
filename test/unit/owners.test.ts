import assert from 'node:assert/strict';
import { Owners } from '../../src/cache/owners.js';
import { isCollected } from '../garbage.js';

describe('owners of memory in the same pages', () => {
  const view = (buffer: ArrayBuffer): Uint8Array => new Uint8Array(buffer, 0, 1);

  it('are noted down without end, and held once for each buffer', () => {
    const buffers = Array.from({ length: 100 }, () => new ArrayBuffer(8));
    const owners = new Owners(buffers[0], buffers[1]);
    let most = 0;
    for (let n = 0; n < 100_000; n++) {
      owners.add(view(buffers[n % buffers.length]));
      most = Math.max(most, owners.size);
    }
    assert.ok(most <= 2 * buffers.length, `${most} for ${buffers.length} buffers`);
  });

  it('are all kept from being collected, by a view of theirs or themselves', async () => {
    const memory: WeakRef<ArrayBuffer>[] = [];
    const fresh = (): ArrayBuffer => {
      const buffer = new ArrayBuffer(8);
      memory.push(new WeakRef(buffer));
      return buffer;
    };
    const owners = new Owners(fresh(), view(fresh()));
    for (let n = 0; n < 300; n++) owners.add(n % 2 === 0 ? fresh() : view(fresh()));
    await isCollected(memory[0]);
    assert.equal(memory.filter((one) => one.deref() === undefined).length, 0);
    assert.equal(owners.size, memory.length);
  });
});
