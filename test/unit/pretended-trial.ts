// Says what a trial of the coverage bench says, and tries nothing. A case's change is what to do.
import { existsSync, writeFileSync } from 'node:fs';
import type { Case, FromTrial } from '../../bench/coverage/cell.js';

const cases = JSON.parse(process.argv[3]) as Case[];
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
const FOR_EVER = 2 ** 31 - 1;
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
  if (what === 'hangs once' && !existsSync(file)) {
    writeFileSync(file, '');
    await pause(FOR_EVER);
  }
  await tell({ ...one, cell: 'fresh', pfn: 'same', errno: '' });
}
process.disconnect();
if (cases[0].change === 'fails at the end') process.exitCode = 4;
