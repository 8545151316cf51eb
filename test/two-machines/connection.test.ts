import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import type { Cable } from '../../native/vm/guest.js';
import { defaultOptions } from '../../native/vm/options.js';
import { runInVm } from '../../native/vm/run-in-vm.js';
import { COMPLETION_STATUSES } from '../../src/verbs/work-completion.js';
import { portOf } from '../endpoint/fixture.js';
import type { Step } from './client.js';

const PORT = 7471;
const SERVER = '10.77.0.1';

interface Machine {
  readonly stdout: PassThrough;
  /** The command's exit status; rejects when the machine ended before it. */
  readonly ended: Promise<number>;
  cutPower(): void;
}

describe('between two machines', function () {
  this.timeout(900_000);
  let folder: string;
  const machines: Machine[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cable-'));
  });
  after(async () => {
    for (const machine of machines) machine.cutPower();
    await Promise.allSettled(machines.map(({ ended }) => ended));
    rmSync(folder, { recursive: true });
  });

  const boot = (argv: readonly string[], cable: Cable): Machine => {
    const power = new AbortController();
    const stdout = new PassThrough();
    const ended = runInVm([process.execPath, ...argv], {
      ...defaultOptions(),
      limit: 800,
      memory: 2048,
      cpus: 1,
      cable,
      stdout,
      signal: power.signal,
    });
    ended.catch(() => undefined);
    const machine = {
      stdout,
      ended,
      cutPower: () => {
        power.abort();
      },
    };
    machines.push(machine);
    return machine;
  };
  const bootServer = (): Machine =>
    boot([join('dist', 'test', 'endpoint', 'peer.js'), String(PORT)], {
      here: join(folder, 'a'),
      there: join(folder, 'b'),
      mac: '52:54:00:77:00:01',
      address: `${SERVER}/24`,
    });
  const bootClient = (): Machine =>
    boot([join('dist', 'test', 'two-machines', 'client.js'), SERVER, String(PORT)], {
      here: join(folder, 'b'),
      there: join(folder, 'a'),
      mac: '52:54:00:77:00:02',
      address: '10.77.0.2/24',
    });

  const listening = async ({ stdout, ended }: Machine): Promise<void> => {
    const early = ended.then((status) => assert.fail(`the server ended with status ${status}`));
    assert.equal(await Promise.race([portOf(stdout), early]), PORT);
  };

  it('bytes_cross_the_loss_of_one_is_an_error_of_the_other_and_the_next_one_is_connected_to', async () => {
    const server = bootServer();
    const client = bootClient();
    const lines = createInterface(client.stdout)[Symbol.asyncIterator]();
    const next = async (): Promise<Step> => {
      const line = await Promise.race([
        lines.next(),
        client.ended.then((status) => assert.fail(`the client ended with status ${status}`)),
      ]);
      return JSON.parse(line.value as string) as Step;
    };
    await listening(server);
    assert.deepEqual(await next(), { step: 'exchanged' });
    assert.deepEqual(await next(), { step: 'writing' });
    server.cutPower();
    await assert.rejects(server.ended);

    const { step, errors = [] } = await next();
    assert.equal(step, 'lost');
    const status = COMPLETION_STATUSES.indexOf('RETRY_EXC_ERR');
    const codes = errors.map(({ code }) => code);
    // The first write out of acknowledgements, the three behind it, and the endpoint itself.
    assert.deepEqual(codes.sort(), [
      'ERR_DISCONNECTED',
      'ERR_DISCONNECTED',
      'ERR_DISCONNECTED',
      'ERR_DISCONNECTED',
      'ERR_WORK_COMPLETION',
    ]);
    for (const error of errors) {
      assert.equal(error.status, status);
      assert.match(error.message, /RETRY_EXC_ERR, the peer did not acknowledge: unreachable/);
    }

    const fresh = bootServer();
    await listening(fresh);
    assert.deepEqual(await next(), { step: 'exchanged again' });
    assert.equal(await client.ended, 0);
  });
});
