// Connects to a peer in another machine, transfers until that machine is gone, and connects to the one that takes its
// place. Tells on stdout how far it has got, a line of JSON for each step. Usage: client.js HOST PORT
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/endpoint/connect.js';
import { listen } from '../../src/endpoint/listener.js';
import type { Endpoint } from '../../src/endpoint/endpoint.js';
import type { RegcacheError } from '../../src/errors.js';
import { kernelState, settlesAt } from '../survival/kernel-state.js';
import { exchange, hostOfDevice, writeUntilLost } from '../endpoint/fixture.js';

/** Times a second that a machine which boots is asked again, and how often in all. */
const TRIES = 300;

export interface Step {
  step: 'exchanged' | 'writing' | 'lost' | 'exchanged again';
  /** Of the writes that were outstanding, and of the closing. */
  errors?: { code: string; status?: number | undefined; message: string }[];
}

const tell = (step: Step): void => {
  process.stdout.write(`${JSON.stringify(step)}\n`);
};

async function untilConnected(host: string, port: number): Promise<Endpoint> {
  for (let tries = 1; ; tries++) {
    try {
      return await connect({ host, port, signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      if (tries === TRIES) throw error;
      await delay(1000);
    }
  }
}

const [host = '', port = ''] = process.argv.slice(2);
// librdmacm opens a context of its own for a device, and keeps it until the process ends.
await (await listen({ host: hostOfDevice() })).close();
const atFirst = kernelState();
const endpoint = await untilConnected(host, Number(port));
const remote = await exchange(endpoint);
tell({ step: 'exchanged' });
const closed = once(endpoint, 'close') as Promise<[RegcacheError]>;
const errors = await writeUntilLost(endpoint, remote, () => {
  tell({ step: 'writing' });
});
errors.push((await closed)[0]);
await endpoint.close();
await settlesAt(atFirst);
tell({ step: 'lost', errors: errors.map(({ code, status, message }) => ({ code, status, message })) });

const again = await untilConnected(host, Number(port));
await exchange(again);
await again.close();
await settlesAt(atFirst);
tell({ step: 'exchanged again' });
