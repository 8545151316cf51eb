import assert from 'node:assert/strict';
import { type RemoteMemory, takeRemote } from '../../src/endpoint/remote-memory.js';
import { endpointOver } from './endpoint-fixture.js';

describe('remote memory', () => {
  const REMOTE = { address: 0x7000_0000_0000, length: 4096, rkey: 0xffff_ffff };

  it('is what the peer exposed, with whatever else it sent', () => {
    assert.deepEqual(takeRemote({ ...REMOTE, name: 'table' } as RemoteMemory), REMOTE);
  });

  it('is asked for by what is to write or read it', async () => {
    const { endpoint } = endpointOver([]);
    const memory = Buffer.alloc(8);
    const refused = { code: 'ERR_INVALID_OPTION', reason: 'no remote memory: it is not undefined' };
    const remote = undefined as never;
    await assert.rejects(endpoint.write(memory, remote), refused);
    await assert.rejects(endpoint.read(memory, remote), refused);
    await assert.rejects(endpoint.fetchAndAdd(remote, 1n), refused);
    assert.throws(() => endpoint.batch().write(memory, remote), refused);
  });

  const without = (field: keyof RemoteMemory): object => ({ ...REMOTE, [field]: undefined });
  for (const [remote, reason] of [
    [undefined, 'it is not undefined'],
    [null, 'it is not null'],
    ['{}', "it is not '{}'"],
    [without('address'), 'it has no address'],
    [without('length'), 'it has no length'],
    [without('rkey'), 'it has no rkey'],
    [{ ...REMOTE, address: '0x7f00' }, "its address is '0x7f00'"],
    [{ ...REMOTE, address: 2 ** 53 }, 'its address is 9007199254740992'],
    [{ ...REMOTE, length: 0 }, 'its length is 0'],
    [{ ...REMOTE, rkey: 2 ** 32 }, 'its rkey is 4294967296'],
    [{ ...REMOTE, rkey: -1 }, 'its rkey is -1'],
  ] as const) {
    it(`is refused, with where to get it: ${reason}`, () => {
      assert.throws(() => takeRemote(remote as RemoteMemory), {
        code: 'ERR_INVALID_OPTION',
        reason: `no remote memory: ${reason}`,
        advice: /the peer's endpoint\.expose\(memory\)/,
      });
    });
  }
});
