import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { QueuePairEndpoint } from 'rdma-regcache';
import type { Arrival, FromReceiver, ToReceiver } from './receiver.js';

/** The receiving process, as the sender sees it. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #inbox: FromReceiver[] = [];
  #wake: () => void = () => undefined;
  #ended = false;

  constructor() {
    this.#child = fork(new URL('./receiver.js', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message: FromReceiver) => {
      this.#inbox.push(message);
      this.#wake();
    });
    this.#child.on('exit', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The receiver's end of the connection. */
  async endpoint(): Promise<QueuePairEndpoint> {
    return (await this.#hear('endpoint')).endpoint;
  }

  async connect(local: QueuePairEndpoint, messageBytes: number): Promise<void> {
    this.#tell({ connect: local, messageBytes });
    await this.#hear('connected');
  }

  /** Let it post a receive, run `send`, and learn what arrived. */
  async receive(send: () => Promise<void>): Promise<Arrival> {
    this.#tell({ post: true });
    await this.#hear('posted');
    await send();
    return (await this.#hear('arrived')).arrived;
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    const exit = once(this.#child, 'exit');
    this.#tell({ end: true });
    await exit;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #tell(message: ToReceiver): void {
    this.#child.send(message);
  }

  async #hear<Name extends string>(name: Name): Promise<Extract<FromReceiver, Record<Name, unknown>>> {
    while (this.#inbox.length === 0) {
      if (this.#ended) throw new Error('the receiving process ended; its error stands above');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const message = this.#inbox.shift()!;
    if (!(name in message))
      throw new Error(`expected ${name} of the receiver, got ${Object.keys(message).join()}`);
    return message as Extract<FromReceiver, Record<Name, unknown>>;
  }
}
