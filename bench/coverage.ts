/**
 * Who serves stale bytes? A range is registered and sent, its mapping is changed, and it is written, acquired and sent
 * again, under each monitor; what the receiver gets is compared with what was sent.
 */
import { parseArgs } from 'node:util';
import { loadHelper } from '../src/monitor/helper.js';
import { coverage } from './about/coverage.js';
import { type Case, type Monitor, MONITORS } from './coverage/cell.js';
import { ACTORS, actorsOf, CHANGES } from './coverage/changes.js';
import { provideLibrary } from './coverage/libraries.js';
import { prepareMachine } from './coverage/machine.js';
import { failures, matrix, type Row, textOf, totals } from './coverage/matrix.js';
import { tryCases } from './coverage/try-cases.js';
import { here, nameOfResult, type Result, save } from './result.js';

const { values: options } = parseArgs({ options: coverage.options });

const monitors = MONITORS.filter((name) => options.monitor?.includes(name) ?? true);
const cases: Case[] = CHANGES.filter(
  ({ name }) => options.only?.some((part) => name.includes(part)) ?? true,
).flatMap((change) =>
  actorsOf(change)
    .filter((actor) => options.by?.includes(actor) ?? true)
    .map((actor) => ({ change: change.name, actor })),
);
if (cases.length === 0 || monitors.length !== (options.monitor?.length ?? MONITORS.length)) {
  process.stderr.write(
    `--monitor takes ${MONITORS.join(', ')}; --by ${ACTORS.join(', ')}; --only takes (a part of) one of:\n` +
      CHANGES.map(({ name }) => `  ${name}\n`).join(''),
  );
  process.exit(2);
}

// Compiled when there is none yet; that takes longer than a cell may.
if (monitors.some((name) => name === 'userfaultfd' || name === 'malloc-hooks')) loadHelper();
provideLibrary('elsewhere');
if (monitors.includes('ucx')) provideLibrary('ucx');
const rows: Row[] = [];
const putBack = prepareMachine();
try {
  for (const monitor of monitors) rows.push(...(await column(monitor)));
} finally {
  putBack();
}

const result: Result = {
  ...here(),
  name: nameOfResult('coverage'),
  monitor: monitors.join(', '),
  registrar: 'ibverbs',
  unit: '-',
  rows: rows.map(({ change, actor, monitor, cell, pfn, errno, tries }) => ({
    change,
    actor,
    monitor,
    cell,
    pfn,
    errno,
    tries,
  })),
};
// A part of the matrix must not take the place of the whole.
const whole = [options.only, options.by, options.monitor].every((part) => part === undefined);
const path = whole ? save(result, coverage.figures) : undefined;
console.log(options.json ? JSON.stringify(result) : render(path));
for (const { change, actor, monitor, cell, pfn, errno } of failures(rows)) {
  process.stderr.write(`${monitor}, ${change} by ${actor}: ${cell}, page frames ${pfn} ${errno}\n`);
  process.exitCode = 1;
}

async function column(monitor: Monitor): Promise<Row[]> {
  let count = 0;
  const cells = await tryCases(monitor, cases, (cell) => {
    const place = `${monitor} ${++count}/${cases.length}`;
    process.stderr.write(`${place}: ${cell.change}, ${cell.actor}: ${textOf(cell)} ${cell.errno}\n`);
  });
  return cells.map((cell) => ({ ...cell, monitor }));
}

function render(saved: string | undefined): string {
  const again = rows.filter(({ tries }) => tries > 1);
  return [
    `what the receiver got after a change of the mapping (${result.where}, Linux ${result.kernel})`,
    '',
    matrix(rows, process.stdout.isTTY),
    '',
    totals(rows),
    ...again.map(
      (row) => `tried ${row.tries} times: ${row.monitor}, ${row.change}, ${row.actor}: ${textOf(row)}`,
    ),
    ...(saved === undefined ? [] : [`saved as ${saved}`]),
  ].join('\n');
}
