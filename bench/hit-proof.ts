/**
 * Does a hit allocate, make a system call, or call C? What happens in a loop of hits is compared with an empty loop, and
 * with loops that do one of these things once in a thousand hits, so that it is known that it would have been noticed.
 */
import { parseArgs } from 'node:util';
import { hitProof } from './about/hit-proof.js';
import { type Cost, costOf } from './hit/proof.js';
import { CONTROLS, HITS, ONCE_IN } from './hit/proof-loop.js';
import { here, save, table, type Result } from './result.js';

/** A control's system calls go through strace, at tens of microseconds each. */
const CONTROL_PART = 50;
/** Of the smallest object on the heap, a number. */
const BYTES = 12;

const { values: options } = parseArgs({ options: hitProof.options });
const hits = Number(options.hits);
if (!Number.isSafeInteger(hits) || hits < 1_000_000) throw new Error('--hits is a number from 1,000,000 on');

const costs = new Map<string, { hits: number; cost: Cost }>();
for (const subject of ['empty', ...HITS, ...CONTROLS] as const) {
  process.stderr.write(`${subject} ...\n`);
  const count = (CONTROLS as readonly string[]).includes(subject) ? hits / CONTROL_PART : hits;
  costs.set(subject, { hits: count, cost: costOf(subject, count, { strace: true }) });
}
const result: Result = {
  ...here(),
  name: 'hit-proof',
  monitor: 'null (mapped page)',
  registrar: 'null',
  unit: 'counts; the heap in bytes',
  rows: [...costs].map(([loop, { hits, cost }]) => ({
    loop,
    hits,
    'garbage collections': cost.collections,
    'heap grown by': cost.grown,
    'system calls': cost.systemCalls,
    'calls of C': cost.calls,
  })),
};
const path = save(result);
console.log(options.json ? JSON.stringify(result) : render());
if (!isProven()) process.exitCode = 1;

/** A hit costs what nothing costs, and the controls show what they do. */
function isProven(): boolean {
  const of = (loop: string): Cost => costs.get(loop)!.cost;
  const [object, call, systemCall] = CONTROLS;
  const once = hits / CONTROL_PART / ONCE_IN;
  return (
    HITS.every((loop) => costsNothing(of(loop), of('empty'))) &&
    of(object).grown - of('empty').grown >= BYTES * once &&
    of(call).calls === once &&
    of(systemCall).systemCalls === once
  );
}

/** The compilers may need a little memory at any time; what one hit in 1000 would take is more. */
function costsNothing({ collections, systemCalls, calls, grown }: Cost, empty: Cost): boolean {
  return collections + systemCalls + calls === 0 && grown - empty.grown < (BYTES * hits) / ONCE_IN;
}

function render(): string {
  return [
    `acquire + release of cached ranges (${result.where}, Linux ${result.kernel}, Node ${process.version})`,
    `the last three do something besides at one hit in ${ONCE_IN}, which has to be seen`,
    '',
    table(result.rows),
    '',
    isProven()
      ? 'A hit allocates nothing, makes no system call and calls no C: the loops cost what an empty one costs.'
      : 'NOT PROVEN: a loop of hits cost more than an empty one, or a control did not.',
    '',
    `saved as ${path}`,
  ].join('\n');
}
