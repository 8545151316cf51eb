// Says what a trial of the coverage bench says, and tries nothing. A case's change is what to do.
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { malloc, sbrk } from '../../bench/system-calls.js';
import type { Case, FromTrial } from '../../bench/coverage/cell.js';
import { ALLOCATED } from '../../bench/coverage/kinds-of-memory.js';
import { forkIdle } from '../../bench/coverage/idle-process.js';
import { OutsideProcess } from '../../bench/coverage/outside.js';
import { childrenOf } from '../../bench/coverage/waiting.js';

const cases = JSON.parse(process.argv[3]) as Case[];
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
const FOR_EVER = 2 ** 31 - 1;
/** Descriptor, by its place in what the parent gave. */
const CHANNEL = 3;
const tell = (message: FromTrial): Promise<void> =>
  new Promise((resolve) => {
    process.send!(message, undefined, undefined, () => {
      resolve();
    });
  });

if (cases[0].change.startsWith('starts after ')) await pause(Number(cases[0].change.split(' ')[2]));
for (const one of cases) {
  const [what, file = ''] = one.change.split(', ');
  await tell('begin');
  if (what === 'crashes') process.exit(3);
  if (what === 'hangs') await pause(FOR_EVER);
  if (what === 'allocates') {
    const end = sbrk(0);
    for (let n = 0; n < 500; n++) malloc(2 ** 14);
    if (sbrk(0) !== end) process.exit(5);
    // A mapping of its own, far away from the heap.
    if (Math.abs(malloc(ALLOCATED) - end) < 2 ** 32) process.exit(6);
  }
  if (what === 'leaves its channel to another process') {
    spawn('sleep', ['10'], { stdio: ['ignore', 'ignore', 'ignore', CHANNEL] });
    process.exit(3);
  }
  if (what === 'hangs with processes of its own') {
    new OutsideProcess();
    forkIdle();
    writeFileSync(file, childrenOf(process.pid).join(' '));
    await pause(FOR_EVER);
  }
  if (what === 'hangs once' && !existsSync(file)) {
    writeFileSync(file, '');
    await pause(FOR_EVER);
  }
  await tell({ ...one, cell: 'fresh', pfn: 'same', errno: '' });
}
process.disconnect();
if (cases[0].change === 'fails at the end') process.exitCode = 4;
