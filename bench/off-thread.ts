/**
 * From which size on does it pay to register and deregister off the main thread? Of each size: what the call takes on
 * the main thread, all of which the event loop stands still, and, off it, how long it takes until it is known to be
 * done and how long the event loop stood still at most meanwhile. The memory is in place before, in pages of 4 KiB,
 * which take longest.
 */
import { parseArgs } from 'node:util';
import { Access } from '../src/access.js';
import { bytesAt, unmap } from '../src/system/mapping.js';
import { openDevice } from '../src/verbs/device.js';
import type { MemoryRegion } from '../src/verbs/memory-region.js';
import { IbverbsRegistrar } from '../src/verbs/registrar.js';
import { offThread } from './about/off-thread.js';
import { here, measured, nameOfResult, save, table, type Result, type Row } from './result.js';
import { mapSmallPages } from './small-pages.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB];
const LARGEST = SIZES.at(-1)!;
const ROUNDS = 9;
/** Rounds that let the compilers settle. */
const WARM_UP = 3;

const { values: options } = parseArgs({ options: offThread.options });

/** Microseconds. */
interface Measured {
  total: number;
  /** The longest time between two turns of the event loop. */
  stall: number;
}

type Samples = Record<'register' | 'registerAsync' | 'deregister' | 'deregisterAsync', Measured[]>;

const context = openDevice();
const pd = context.createProtectionDomain();
const registrar = new IbverbsRegistrar(pd);
const address = mapSmallPages(LARGEST);
bytesAt(address, LARGEST).fill(1);

const all = SIZES.map((): Samples => ({
  register: [],
  registerAsync: [],
  deregister: [],
  deregisterAsync: [],
}));
for (let round = -WARM_UP; round < ROUNDS; round++) {
  process.stderr.write(
    round < 0 ? `warming up, ${round + WARM_UP + 1} of ${WARM_UP}\n` : `round ${round + 1} of ${ROUNDS}\n`,
  );
  for (const [i, bytes] of SIZES.entries()) await measure(bytes, round < 0 ? undefined : all[i]);
}
const rows = SIZES.map((bytes, i): Row => {
  const of = (way: keyof Samples, what: keyof Measured): number[] =>
    all[i][way].map((sample) => sample[what]);
  return {
    KiB: bytes / KIB,
    ...measured('register', of('register', 'total')),
    ...measured('registerAsync', of('registerAsync', 'total')),
    ...measured('registerAsync stall', of('registerAsync', 'stall')),
    ...measured('deregister', of('deregister', 'total')),
    ...measured('deregisterAsync', of('deregisterAsync', 'total')),
    ...measured('deregisterAsync stall', of('deregisterAsync', 'stall')),
  };
});
unmap(address, LARGEST);
pd.close();
context.close();

const result: Result = {
  ...here(),
  name: nameOfResult('off-thread'),
  monitor: '-',
  registrar: registrar.kind,
  unit: 'us, median',
  rows,
};
const path = save(result, offThread.figures);
console.log(options.json ? JSON.stringify(result) : render(result, path));

async function measure(bytes: number, samples: Samples | undefined): Promise<void> {
  let region!: MemoryRegion;
  // As a cache does: on the spot it lets the device find out whether the pages are there, off it it looks first.
  const register = await timed(() => {
    region = registrar.register(address, bytes, Access.LOCAL_WRITE);
  });
  const deregister = await timed(() => {
    registrar.deregister(region);
  });
  const registerAsync = await timed(async () => {
    await registrar.prefaultAsync(address, bytes, true);
    region = await registrar.registerAsync(address, bytes, Access.LOCAL_WRITE);
  });
  const deregisterAsync = await timed(() => registrar.deregisterAsync(region));
  if (samples === undefined) return;
  samples.register.push(register);
  samples.deregister.push(deregister);
  samples.registerAsync.push(registerAsync);
  samples.deregisterAsync.push(deregisterAsync);
}

/** Do it while the event loop goes round as fast as it can. */
async function timed(act: () => void | Promise<void>): Promise<Measured> {
  let turn = performance.now();
  let stall = 0;
  let over = false;
  const go = (): void => {
    const now = performance.now();
    stall = Math.max(stall, now - turn);
    turn = now;
    if (!over) setImmediate(go);
  };
  const before = performance.now();
  turn = before;
  setImmediate(go);
  await act();
  const total = performance.now() - before;
  over = true;
  await new Promise(setImmediate);
  return { total: total * 1000, stall: stall * 1000 };
}

function render({ where, kernel, rows: sizes }: Result, saved: string): string {
  return [
    `registering and deregistering on the main thread and off it, us (${where}, Linux ${kernel}; median of ${ROUNDS})`,
    'On the main thread the event loop stands still all the time that the call takes; off it, as long as "stall" says.',
    '',
    table(sizes),
    '',
    `saved as ${saved}`,
  ].join('\n');
}
