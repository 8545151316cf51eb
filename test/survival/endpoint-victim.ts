// A process whose RDMA device goes: listens, is connected to itself, says 'ready', and then what each that waits is told,
// a code each. Ends when nothing keeps it alive any more.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/endpoint/connect.js';
import { listen } from '../../src/endpoint/listener.js';
import type { RegcacheError } from '../../src/errors.js';
import { hostOfDevice } from '../endpoint/fixture.js';
import { heldOf } from '../system/held.js';

export const FILE = fileURLToPath(import.meta.url);

/** Codes of errors, and of the causes that they name. */
export type Told = Record<'accept' | 'iterate' | 'server' | 'client' | 'receive' | 'connect', string[]> & {
  /** Of the device, still open when a listener at all addresses is left, which goes on with other devices. */
  contexts: number;
};

async function main(): Promise<void> {
  const codes = (error: unknown): string[] => {
    const { code, cause } = error as RegcacheError;
    return cause === undefined ? [code] : [code, ...codes(cause)];
  };
  const codesOf = (promise: Promise<unknown>): Promise<string[]> => promise.then(() => ['none'], codes);

  const host = hostOfDevice();
  const everywhere = await listen();
  const listener = await listen({ host });
  const { port } = listener;
  const [server, client] = await Promise.all([listener.accept(), connect({ host, port })]);
  const closed = async (end: typeof server): Promise<string[]> =>
    codes(((await once(end, 'close')) as unknown[])[0]);
  const accept = codesOf(listener.accept());
  const waiting = [closed(server), closed(client), codesOf(client.receive())] as const;
  // One that has no connection any more has nobody to hear of the device from.
  const ended = await Promise.all([everywhere.accept(), connect({ host, port: everywhere.port })]);
  await Promise.all(ended.map((each) => each.close()));
  process.send!('ready');

  const told = {
    accept: await accept,
    iterate: await codesOf(listener[Symbol.asyncIterator]().next()),
    server: await waiting[0],
    client: await waiting[1],
    receive: await waiting[2],
    connect: await codesOf(connect({ host, port })),
  };
  await Promise.all([server, client, listener].map((each) => each.close()));
  // A listener lets go of a device without anybody waiting for it.
  const contextsOpen = (): number => heldOf('/dev/infiniband/uverbs').files;
  for (let tries = 0; tries < 300 && contextsOpen() > 1; tries++) await delay(100);
  const contexts = contextsOpen();
  await everywhere.close();
  process.send!({ ...told, contexts } satisfies Told);
  process.disconnect();
}

if (process.argv[1] === FILE) await main();
