import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cell, Monitor } from '../../bench/coverage/cell.js';
import { type Trial, tryCases } from '../../bench/coverage/try-cases.js';

describe('bench: coverage: what does not come', function () {
  this.timeout(180_000);
  const program = new URL('./pretended-trial.js', import.meta.url);
  const late: string[] = [];
  const trial: Trial = {
    program,
    limit: 2000,
    startLimit: 30_000,
    killLimit: 30_000,
    late: (what) => late.push(what),
  };
  const cases = (...changes: string[]) => changes.map((change) => ({ change, actor: 'thread' }) as const);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'regcache-trial-'));
    late.length = 0;
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const seen = ({ cell, errno, tries }: Cell): string => `${cell} ${errno} ${tries}`;

  it('is a hang when it comes to nothing twice, and a result when only the process is slow', async () => {
    const told: Cell[] = [];
    const changes = [
      'starts after 3000',
      'hangs',
      `hangs once, ${join(folder, 'tried')}`,
      'crashes',
      'works',
    ];
    const cells = await tryCases('kept', cases(...changes), (cell) => told.push(cell), trial);
    assert.deepEqual(cells.map(seen), [
      'fresh  1',
      'hang ETIMEDOUT 2',
      'fresh  2',
      'crash exit status 3 1',
      'fresh  1',
    ]);
    assert.deepEqual(told, cells);
    // What hangs twice, and what hangs once.
    assert.equal(late.length, 3);
    for (const what of late)
      assert.match(
        what,
        /^kept: nothing for 2 s\nprocess \d+: .*pretended-trial.js kept .*\n {2}\d+ x node S \S.*\n {2}the kernel said last:\n/s,
      );
  });

  it('takes along the processes that it has started, and says what they do', async () => {
    const file = join(folder, 'processes');
    await tryCases('kept', cases(`hangs with processes of its own, ${file}`), () => undefined, trial);
    const processes = readFileSync(file, 'latin1').split(' ');
    assert.equal(processes.length, 2);
    for (const process of processes)
      assert.match(late.at(-1)!, new RegExp(`^  process ${process}: .*\n  \\d+ x \\S`, 'm'));
    while (processes.some(isAlive)) await sleep(50);
  });

  it("is none of the heap's own doing: malloc leaves its end where it is", async () => {
    const cells = await tryCases('kept', cases('allocates'), () => undefined, trial);
    assert.deepEqual(cells.map(seen), ['fresh  1']);
  });

  it('is a failure when it does not even go away', async () => {
    const change = 'leaves its channel to another process';
    const cells = tryCases('kept', cases(change), () => assert.fail(), { ...trial, killLimit: 500 });
    await assert.rejects(cells, /kept: a process was killed and has not ended in 0.5 s\nprocess \d+: /);
  });

  it('is no cell at all when the process does not start', async () => {
    const cells = tryCases('kept', cases('starts after 60000'), () => assert.fail(), {
      ...trial,
      startLimit: 500,
    });
    await assert.rejects(cells, /began with no change in time/);
  });

  it('is a failure when it is the end of the process, of a monitor that promises something', async () => {
    const end = (monitor: Monitor): Promise<Cell[]> =>
      tryCases(monitor, cases('fails at the end'), () => undefined, trial);
    await assert.rejects(end('ummunotify'), /failed at its end: exit status 4/);
    assert.deepEqual((await end('ucx')).map(seen), ['fresh  1']);
  });
});

/** One that nobody has waited for is dead, too. */
function isAlive(pid: string): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
