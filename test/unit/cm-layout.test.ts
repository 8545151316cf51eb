import assert from 'node:assert/strict';
import { resolveHost, socketAddress } from '../../src/cm/address.js';
import { EVENTS, LAYOUT, VALUES } from '../../src/cm/layout.js';
import { loadLibrary } from '../../src/cm/library.js';
import { expressionsOf, valuesInC } from './c-layout.js';

describe('the layout of rdma_cma.h', () => {
  it('equals_what_a_c_compiler_says', function () {
    const expected: [string, number][] = [
      ...expressionsOf(LAYOUT),
      ...Object.entries(VALUES),
      ...EVENTS.map((name, value): [string, number] => [`RDMA_CM_EVENT_${name}`, value]),
    ];
    const names = expected.map(([expression]) => expression);
    const headers = ['rdma/rdma_cma.h', 'netinet/in.h'];
    const actual = valuesInC(this, 'cc + librdmacm-dev', headers, names);
    assert.ok(actual.length > 40);
    assert.deepEqual(
      names.map((name, index) => [name, actual[index]]),
      expected,
    );
  });
});

describe('librdmacm', () => {
  it('is_an_error_with_advice_where_it_is_not_installed', () => {
    assert.throws(() => loadLibrary('librdmacm-that-is-not-there.so.1'), {
      code: 'ERR_NO_LIBRDMACM',
      path: 'librdmacm-that-is-not-there.so.1',
      message: /librdmacm1/,
    });
  });

  it('is_an_error_where_it_lacks_a_function', () => {
    assert.throws(() => loadLibrary('libc.so.6'), { code: 'ERR_NO_LIBRDMACM', message: /too old/ });
  });
});

describe('a socket address', () => {
  const ADDRESSES = [
    ['192.0.2.7', 4, '0200 1234 c0000207 0000000000000000'],
    ['::', 6, '0a00 1234 00000000 00000000000000000000000000000000 00000000'],
    ['::1', 6, '0a00 1234 00000000 00000000000000000000000000000001 00000000'],
    ['2001:db8::5:0:7', 6, '0a00 1234 00000000 20010db8000000000000000500000007 00000000'],
    ['1:2:3:4:5:6:7:8', 6, '0a00 1234 00000000 00010002000300040005000600070008 00000000'],
    ['fe80::', 6, '0a00 1234 00000000 fe800000000000000000000000000000 00000000'],
    ['::ffff:192.0.2.7', 6, '0a00 1234 00000000 00000000000000000000ffffc0000207 00000000'],
    ['fe80::9%3', 6, '0a00 1234 00000000 fe800000000000000000000000000009 03000000'],
  ] as const;
  for (const [address, family, bytes] of ADDRESSES) {
    it(`of ${address}`, () => {
      assert.equal(socketAddress(address, family, 0x1234).toString('hex'), bytes.replaceAll(' ', ''));
    });
  }

  it('is_refused_for_a_name_that_nobody_knows', async () => {
    await assert.rejects(resolveHost('no-such-host.invalid', 1), {
      name: 'RegcacheError',
      syscall: 'getaddrinfo',
    });
  });
});
