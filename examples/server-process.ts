import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Endpoint, type Listener, openDevice } from 'rdma-regcache';
import type { Role } from './role.js';

/** Where a server listens. Disposing of it ends a server that was started for this. */
export interface Server extends Disposable {
  readonly host: string;
  readonly port: number;
}

/** Start a program with --listen as a process of its own; it ends with this one. */
export async function startServer(program: string, args: readonly string[] = []): Promise<Server> {
  const host = addressOfDevice();
  // What it prints is no part of this program's output.
  const server = fork(fileURLToPath(program), ['--listen', '--port', '0', ...args], {
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const ended = once(server, 'exit').then(() => {
    throw new Error('the server ended; its error stands above');
  });
  const [port] = (await Promise.race([once(server, 'message'), ended])) as [number];
  ended.catch(() => undefined);
  return {
    host,
    port,
    [Symbol.dispose]: () => {
      server.kill();
    },
  };
}

/** The server that a client is to connect to, started if the client has been told of none. */
export async function reachServer(
  role: Exclude<Role, { is: 'server' }>,
  program: string,
  args: readonly string[] = [],
): Promise<Server> {
  if (role.is === 'both') return startServer(program, args);
  return { host: role.host, port: role.port, [Symbol.dispose]: () => undefined };
}

/**
 * What a server does: tell people, and the process that started it, where it listens, and let `serve` deal with each
 * client. One that breaks is no reason to leave the others alone.
 */
export async function serveClients(
  listener: Listener,
  serve: (endpoint: Endpoint) => Promise<void>,
): Promise<void> {
  announce(listener.port);
  for await (const endpoint of listener) {
    serve(endpoint)
      .finally(() => endpoint.close())
      .catch((error: unknown) => {
        console.error((error as Error).message);
      });
  }
}

function announce(port: number): void {
  console.log(`listening on port ${port}`);
  if (process.send === undefined) return;
  process.send(port);
  process.once('disconnect', () => process.exit());
}

/** The IPv4 address of the first RDMA device: where others on this machine reach it. */
function addressOfDevice(): string {
  using context = openDevice();
  // The devices of RoCE have IP addresses for their GIDs; IPv4 addresses are those that begin so.
  const prefix = '0000:0000:0000:0000:0000:ffff:';
  const entry = context.gidTable().find(({ gid }) => gid.startsWith(prefix));
  if (entry === undefined) {
    throw new Error(
      `${context.device.name} has no IPv4 address to connect to: start a server with --listen, and a client with --host`,
    );
  }
  return [...Buffer.from(entry.gid.slice(prefix.length).replace(':', ''), 'hex')].join('.');
}
