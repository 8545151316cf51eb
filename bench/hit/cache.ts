// What our cache costs, with a registrar and a monitor that do nothing. Speaks as ucx.c does, and knows two commands
// more: `storm`, ns to take in that a registration went stale, one of very many, its deregistration included; and
// `bytes`, the memory of the process for each idle registration.
//
// node --expose-gc cache.js address|buffer|call of C|map|lru-cache RANGES BYTES OPERATIONS
//
// The last three have what a cache would be without the mapped counter or without a page table, and hits only.
import koffi from 'koffi';
import { RegistrationCache } from '../../src/cache/cache.js';
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE } from '../../src/system/libc.js';
import { map } from '../../src/system/mapping.js';
import { answer } from '../answer.js';
import { xorshift32 } from '../random.js';
import { nullMonitor, nullRegistrar } from './null.js';
import { lruTable, mapTable, type PlainCache, plainCache, type Table } from './plain-cache.js';

const [by, ...numbers] = process.argv.slice(2);
const [ranges, bytes, operations] = numbers.map(Number);

// Twice as many ranges as are cached; nobody reads or writes them.
const memory = map(2 * ranges * bytes, {
  prot: PROT_NONE,
  flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
});
const picks = randomPicks();
// Each with an ArrayBuffer of its own, as Buffer.alloc makes them.
const buffers = by === 'buffer' ? Array.from({ length: ranges }, (_, index) => bufferAt(index)) : [];
const before = bytesInUse();
const cache = new RegistrationCache({
  monitor: nullMonitor(),
  registrar: nullRegistrar,
  maxRegistrations: ranges,
});
for (let index = 0; index < ranges; index++) cache.acquireRange(memory + index * bytes, bytes).release();
const bytesEach = (bytesInUse() - before) / ranges;

function bufferAt(index: number): Buffer {
  return Buffer.from(koffi.view(BigInt(memory + index * bytes), bytes));
}

/** The same as in ucx.c. */
function randomPicks(): Uint32Array {
  const picked = new Uint32Array(operations);
  let random = 2463534242;
  for (let i = 0; i < operations; i++) {
    random = xorshift32(random);
    picked[i] = random % ranges;
  }
  return picked;
}

function bytesInUse(): number {
  // The second time it takes what the first had found a use for.
  globalThis.gc!();
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The addresses picked. */
const addressesPicked = (): Float64Array => Float64Array.from(picks, (pick) => memory + pick * bytes);

// What they use is handed to them: variables of a module are checked for having a value each time.
function hitByAddress(own: RegistrationCache, length: number, addresses: Float64Array): void {
  for (let i = 0; i < addresses.length; i++) own.acquireRange(addresses[i], length).release();
}

function hitByBuffer(own: RegistrationCache, from: readonly Buffer[], picked: Uint32Array): void {
  for (let i = 0; i < picked.length; i++) own.acquire(from[picked[i]]).release();
}

/** Whether something changed is asked of a C function that does as good as nothing: what any way to ask would cost. */
function hitByCall(
  own: RegistrationCache,
  ask: (seen: number) => number,
  length: number,
  addresses: Float64Array,
): void {
  for (let i = 0; i < addresses.length; i++) {
    if (ask(0) !== 0) own.drain();
    own.acquireRange(addresses[i], length).release();
  }
}

function hitPlain(own: PlainCache, length: number, addresses: Float64Array): void {
  for (let i = 0; i < addresses.length; i++) own.release(own.acquire(addresses[i], length));
}

const hits: Record<string, () => () => void> = {
  address: () => {
    const addresses = addressesPicked();
    return () => {
      hitByAddress(cache, bytes, addresses);
    };
  },
  buffer: () => () => {
    hitByBuffer(cache, buffers, picks);
  },
  'call of C': () => {
    const ask = koffi.load(null).func('int abs(int)') as unknown as (seen: number) => number;
    const addresses = addressesPicked();
    return () => {
      hitByCall(cache, ask, bytes, addresses);
    };
  },
  map: () => plainly(mapTable()),
  'lru-cache': () => plainly(lruTable(ranges)),
};

function plainly(table: Table): () => void {
  const plain = plainCache(nullMonitor(), table);
  const addresses = addressesPicked();
  for (const address of addresses) plain.release(plain.acquire(address, bytes));
  return () => {
    hitPlain(plain, bytes, addresses);
  };
}

const hit = hits[by]();

const some = operations / 5;
let next = ranges;
/** Twice as many ranges as the cache may hold, one after the other: none is there when its turn comes. */
function churn(): void {
  for (let i = 0; i < some; i++) {
    cache.acquireRange(memory + next * bytes, bytes).release();
    next = next + 1 === 2 * ranges ? 0 : next + 1;
  }
}

/** So many registrations are reported in one drain. */
const STORM = 100_000;

/** Of another cache, as a monitor that can report what it watches takes memory for it. */
function storm(): number {
  const monitor = nullMonitor([]);
  const stormy = new RegistrationCache({
    monitor,
    registrar: nullRegistrar,
    maxRegistrations: STORM,
    eagerDrain: false,
  });
  for (let index = 0; index < STORM; index++) stormy.acquireRange(memory + index * bytes, bytes).release();
  monitor.changeAll();
  const each = nanosecondsEach(() => {
    stormy.drain();
  }, STORM);
  stormy.close();
  return each;
}

/** Of the process's CPU time, so that what else the machine does counts for less. */
function nanosecondsEach(work: () => void, operations: number): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / operations;
}

const commands: Record<string, () => number> = {
  hit: () => nanosecondsEach(hit, operations),
  churn: () => nanosecondsEach(churn, some),
  storm,
  bytes: () => bytesEach,
};

await answer(commands);
