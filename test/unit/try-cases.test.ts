import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cell, Monitor } from '../../bench/coverage/cell.js';
import { type Trial, tryCases } from '../../bench/coverage/try-cases.js';

describe('bench: coverage: what does not come', function () {
  this.timeout(60_000);
  const program = new URL('./pretended-trial.js', import.meta.url);
  const late: string[] = [];
  const trial: Trial = { program, limit: 2000, startLimit: 30_000, late: (what) => late.push(what) };
  const cases = (...changes: string[]) => changes.map((change) => ({ change, actor: 'thread' }) as const);
  const seen = ({ cell, errno, tries }: Cell): string => `${cell} ${errno} ${tries}`;

  it('is a hang when it comes to nothing twice, and a result when only the process is slow', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'regcache-trial-'));
    try {
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
      for (const what of late) assert.match(what, /^kept: nothing for 2 s; threads: .*node S \S/);
    } finally {
      rmSync(folder, { recursive: true });
    }
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
