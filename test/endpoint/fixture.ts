import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/endpoint/connect.js';
import type { Endpoint } from '../../src/endpoint/endpoint.js';
import { listen, type Listener } from '../../src/endpoint/listener.js';
import type { EndpointOptions } from '../../src/endpoint/options.js';
import type { RemoteMemory } from '../../src/endpoint/remote-memory.js';
import type { RegcacheError } from '../../src/errors.js';
import { listDevices, openDevice } from '../../src/verbs/device.js';
import { chooseGid } from '../../src/verbs/gid.js';
import { type KernelState, kernelState, settlesAt } from '../survival/kernel-state.js';

/** Bytes that the peer of its own lets others reach. */
export const EXPOSED_BYTES = 4 * 2 ** 20;

/** Bytes that are nowhere the same for long. */
export function contentOf(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let n = 0; n < words.length; n++) words[n] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Buffer.from(words.buffer, 0, length);
}

/** The address of this machine's first device. */
export function hostOfDevice(): string {
  using context = openDevice();
  const { gid } = chooseGid(context.gidTable())!;
  const bytes = Buffer.from(gid.replaceAll(':', ''), 'hex');
  return gid.startsWith('0000:0000:0000:0000:0000:ffff:') ? [...bytes.subarray(12)].join('.') : gid;
}

/** A link-local address of the network under this machine's first device, if it has one. */
export function linkLocalHostOfDevice(): string | undefined {
  const [{ name }] = listDevices();
  const network = readFileSync(`/sys/class/infiniband/${name}/ports/1/gid_attrs/ndevs/0`, 'latin1').trim();
  const found = networkInterfaces()[network]?.find(({ address }) => address.startsWith('fe80:'));
  return found === undefined ? undefined : `${found.address}%${network}`;
}

/** Both ends of a connection in this process. */
export interface Connected {
  readonly listener: Listener;
  readonly server: Endpoint;
  readonly client: Endpoint;
  close(): Promise<void>;
}

export async function connected(
  options: EndpointOptions = {},
  clientOptions: EndpointOptions = options,
): Promise<Connected> {
  const listener = await listen(options);
  const [server, client] = await Promise.all([
    listener.accept(),
    connect({ host: hostOfDevice(), port: listener.port, ...clientOptions }),
  ]);
  return {
    listener,
    server,
    client,
    close: async () => {
      client.destroy();
      server.destroy();
      await Promise.all([client.close(), server.close(), listener.close()]);
    },
  };
}

/**
 * Have each test of the surrounding suite leave the kernel as it was.
 * @returns makes a connection that ends with the test
 */
export function connectionsThatLeaveNothing(): typeof connected {
  let atFirst: KernelState;
  let last: Connected | undefined;
  before(async () => {
    // librdmacm opens a context of its own for each device, and keeps it until the process ends.
    await (await connected()).close();
  });
  beforeEach(() => {
    atFirst = kernelState();
  });
  afterEach('the kernel holds what it held before', async () => {
    await last?.close();
    last = undefined;
    await settlesAt(atFirst);
  });
  return async (...options) => (last = await connected(...options));
}

/** A peer in a process of its own. */
export async function startPeer(): Promise<{ process: ChildProcess; port: number }> {
  const peer = spawn(process.execPath, [fileURLToPath(new URL('peer.js', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { process: peer, port: await portOf(peer.stdout) };
}

/** What the peer says first. */
export async function portOf(output: Readable): Promise<number> {
  const [line] = (await once(createInterface(output), 'line')) as [string];
  return Number(/^listening (\d+)$/.exec(line)![1]);
}

/** Talk to a peer that has just been connected to: what it exposes, read, written and sent back. */
export async function exchange(endpoint: Endpoint): Promise<RemoteMemory> {
  const first = await endpoint.receive();
  const remote = JSON.parse(first.data.toString()) as RemoteMemory;
  first.release();
  assert.equal(remote.length, EXPOSED_BYTES);
  const read = Buffer.alloc(EXPOSED_BYTES);
  assert.equal(await endpoint.read(read, remote), EXPOSED_BYTES);
  assert.ok(read.equals(contentOf(EXPOSED_BYTES)), 'what was read is what the peer has');

  const written = contentOf(10_000, 7);
  await endpoint.write(written, remote, { offset: 12_345 });
  const back = Buffer.alloc(10_000);
  await endpoint.read(back, remote, { offset: 12_345 });
  assert.ok(back.equals(written), 'what was written can be read back');

  const sent = contentOf(60_000, 9);
  await endpoint.send(sent, { immediate: 0xdead_beef });
  const echo = await endpoint.receive();
  assert.ok(echo.data.equals(sent), 'what was sent comes back');
  assert.equal(echo.immediate, 0xdead_beef);
  echo.release();
  return remote;
}

/**
 * Keep writing until the connection breaks.
 * @param meanwhile called once the first writes are done and others are under way
 * @returns what the outstanding writes rejected with
 */
export async function writeUntilLost(
  endpoint: Endpoint,
  remote: RemoteMemory,
  meanwhile: () => void,
): Promise<RegcacheError[]> {
  const memory = contentOf(EXPOSED_BYTES, 3);
  const errors: RegcacheError[] = [];
  let writes = 0;
  const writer = async (): Promise<void> => {
    try {
      for (;;) {
        await endpoint.write(memory, remote);
        if (++writes === 3) meanwhile();
      }
    } catch (error) {
      errors.push(error as RegcacheError);
    }
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
  assert.ok(writes >= 3);
  return errors;
}
