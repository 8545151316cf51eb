import { runInNewContext } from 'node:vm';

/** What our own getters, proxies and callbacks throw: the package may let it through, as it is not its own. */
export class OfTheCaller extends Error {
  constructor() {
    super('thrown by the caller');
  }
}

const throws = (): never => {
  throw new OfTheCaller();
};

const HANDLER = Object.fromEntries(
  Object.getOwnPropertyNames(Reflect).map((trap) => [trap, throws]),
) as ProxyHandler<object>;

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function detached(): Uint8Array {
  const view = new Uint8Array(64);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

type Resizable = ArrayBuffer & { resize(length: number): void };
function shrunk(): Uint8Array {
  const buffer = new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(8192, {
    maxByteLength: 8192,
  });
  const view = new Uint8Array(buffer, 4096);
  buffer.resize(100);
  return view;
}

/** A different answer each time. */
function changing(...answers: unknown[]): { get(): unknown } {
  let asked = 0;
  return { get: () => answers[asked++ % answers.length] };
}

const elsewhere = (code: string): unknown => runInNewContext(code);

/** Values that some function might not be prepared for, by name. */
export const STRANGE: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  NaN: () => NaN,
  '-0': () => -0,
  '-1': () => -1,
  half: () => 0.5,
  infinity: () => Infinity,
  '-infinity': () => -Infinity,
  '2^31': () => 2 ** 31,
  '-2^31-1': () => -(2 ** 31) - 1,
  '2^32': () => 2 ** 32,
  '2^52': () => 2 ** 52,
  '2^53': () => 2 ** 53,
  '1e308': () => 1e308,
  unmapped: () => 0x1000,
  kernel: () => 0xffff_8000_0000_0000,
  'end of user space': () => 0x7fff_ffff_f000,
  bigint: () => 1n,
  'huge bigint': () => 1n << 5000n,
  symbol: () => Symbol('strange'),
  'empty text': () => '',
  text: () => 'text',
  'text with a zero': () => '/dev/\0zero',
  'number as text': () => '4096',
  'long text': () => 'x'.repeat(100_000),
  array: () => [],
  'array of one': () => [4096],
  object: () => ({}),
  'object without a prototype': () => Object.create(null) as object,
  frozen: () => Object.freeze({ address: 4096, length: 1 }),
  date: () => new Date(NaN),
  promise: () => Promise.resolve(1),
  thenable: () => ({ then: throws }),
  function: () => () => 1,
  'function that throws': () => throws,
  class: () => Map,
  'revoked proxy': revoked,
  'proxy that throws': () => new Proxy({}, HANDLER),
  'function proxy that throws': () => new Proxy(() => 1, HANDLER),
  'proxy of a view': () => new Proxy(new Uint8Array(64), {}),
  'no primitive': () => ({ [Symbol.toPrimitive]: throws }),
  'object as primitive': () => ({ [Symbol.toPrimitive]: () => ({}) }),
  'number that changes': () => {
    const answers = changing(1, 2 ** 40, 'text', NaN);
    const answer = (): unknown => answers.get();
    return { valueOf: answer, [Symbol.toPrimitive]: answer };
  },
  'custom inspection that throws': () => ({
    [Symbol.for('nodejs.util.inspect.custom')]: throws,
    toString: throws,
  }),
  'range that changes': () =>
    Object.defineProperties(
      {},
      { address: { ...changing(4096, NaN, 2 ** 60, 'x') }, length: { ...changing(1, -1, NaN) } },
    ),
  'range of nowhere': () => ({ address: 0x1000, length: 4096 }),
  'range of text': () => ({ address: '4096', length: [1] }),
  'range that throws': () => Object.defineProperty({}, 'address', { get: throws }),
  'detached view': detached,
  'detached buffer': () => detached().buffer,
  'view past the end': shrunk,
  'empty view': () => new Uint8Array(0),
  'empty buffer': () => new ArrayBuffer(0),
  view: () => Buffer.alloc(100, 1),
  'unaligned view': () => new DataView(new ArrayBuffer(5000), 13, 4500),
  'shared buffer': () => new SharedArrayBuffer(4096),
  'frozen view': () => Object.preventExtensions(new Uint8Array(10)),
  'view with a length of its own': () => {
    const view = Buffer.alloc(64);
    for (const name of ['byteLength', 'length', 'byteOffset', 'buffer'])
      Object.defineProperty(view, name, changing(2 ** 40, NaN, 'x', -1));
    return view;
  },
  'prototype of a view': () => Object.create(Reflect.getPrototypeOf(Buffer.alloc(1))) as object,
  'view of another realm': () => elsewhere('new Uint8Array(64)'),
  'buffer of another realm': () => elsewhere('new ArrayBuffer(64)'),
  'error of another realm': () => elsewhere('new TypeError("elsewhere")'),
  'aborted signal': () => AbortSignal.abort(),
  'signal aborted for no reason': () => AbortSignal.abort(new OfTheCaller()),
  'prototype of a signal': () => Object.create(Reflect.getPrototypeOf(AbortSignal.abort())) as object,
  'proxy of a signal': () => new Proxy(AbortSignal.timeout(1000), {}),
};

/** Names of the options of everything: what some function knows and another one refuses. */
export const OPTION_NAMES: readonly string[] = [
  ...['monitor', 'registrar', 'witness', 'monitorChoice', 'checking', 'maxRegistrations', 'maxPinnedBytes'],
  ...[
    'keepRemote',
    'merge',
    'deregisterFor',
    'registerOffThreadFrom',
    'deregisterOffThreadFrom',
    'eagerDrain',
  ],
  ...[
    'signal',
    'shared',
    'path',
    'features',
    'helper',
    'entries',
    'batch',
    'events',
    'sendQueue',
    'receiveQueue',
  ],
  ...['maxSends', 'maxReceives', 'maxSendSegments', 'maxReceiveSegments', 'maxInline', 'signalAll', 'port'],
  ...[
    'gidIndex',
    'access',
    'pkeyIndex',
    'psn',
    'timeout',
    'retries',
    'receiverNotReadyRetries',
    'gid',
    'mtu',
  ],
  ...[
    'receiverNotReadyTimer',
    'qpNumber',
    'lid',
    'readsAccepted',
    'readsInitiated',
    'id',
    'status',
    'vendorError',
  ],
  ...['address', 'length', 'unknown'],
];
