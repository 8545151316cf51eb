/** Servers, one for each monitor in a process of its own, which are measured in turn. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { MemoryName, MonitorOrCopy } from '../about/server.js';
import { UCX_SETTINGS } from '../coverage/ucx.js';
import type { Answer, Command } from './main.js';
import type { Sample, Task } from './serve.js';

export interface Plan extends Omit<Task, 'memory'> {
  readonly monitors: readonly MonitorOrCopy[];
  readonly memories: readonly MemoryName[];
  readonly rounds: number;
  /** Of each round. */
  readonly requests: number;
}

/** What a monitor did with one way to use memory. */
export interface Measured {
  readonly memory: MemoryName;
  readonly monitor: MonitorOrCopy;
  /** Of each round. */
  readonly samples: readonly Sample[];
}

/**
 * @param tell called with how far it is
 * @throws Error when a process ends early
 */
export async function measure(plan: Plan, tell: (text: string) => void): Promise<Measured[]> {
  const { monitors, memories, ...task } = plan;
  const servers = new Set(monitors.map((monitor) => new ServerProcess(monitor)));
  const all: Measured[] = [];
  try {
    for (const memory of memories) {
      tell(`${memory}, ${memories.indexOf(memory) + 1} of ${memories.length}`);
      for (const server of servers) {
        const answer = await server.ask({ start: { ...task, memory } });
        if (typeof answer === 'string' || !('missing' in answer)) continue;
        tell(`left out: ${server.monitor}: ${answer.missing}`);
        servers.delete(server);
        server.end();
      }
      all.push(...(await inTurn([...servers], memory, plan)));
      for (const server of servers) await server.ask('end');
    }
  } finally {
    for (const server of servers) server.end();
  }
  return all;
}

async function inTurn(
  servers: readonly ServerProcess[],
  memory: MemoryName,
  { rounds, requests }: Plan,
): Promise<Measured[]> {
  const all = servers.map(({ monitor }) => ({ memory, monitor, samples: [] as Sample[] }));
  for (let round = 0; round < rounds; round++)
    for (const [n, server] of servers.entries())
      all[n].samples.push((await server.ask({ serve: requests })) as Sample);
  return all;
}

class ServerProcess {
  readonly monitor: MonitorOrCopy;
  readonly #child;
  readonly #ended: Promise<never>;

  constructor(monitor: MonitorOrCopy) {
    this.monitor = monitor;
    this.#child = fork(new URL('./main.js', import.meta.url), [monitor], {
      // What it prints is none of the result's.
      stdio: ['ignore', 2, 2, 'ipc'],
      env: monitor === 'ucx' ? { ...process.env, ...UCX_SETTINGS } : process.env,
    });
    this.#ended = once(this.#child, 'close').then(([status, signal]: (number | string | null)[]) => {
      throw new Error(`the server under ${monitor} ended early: ${signal ?? `exit status ${status}`}`);
    });
    // Whoever asks is told.
    this.#ended.catch(() => undefined);
  }

  async ask(command: Command): Promise<Answer> {
    const answered = once(this.#child, 'message');
    this.#child.send(command);
    const [answer] = (await Promise.race([answered, this.#ended])) as [Answer];
    return answer;
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
