/**
 * A process that tries changes under one monitor, one after the other, and sends its parent a message for each.
 * Arguments: the monitor, and the cases in JSON.
 */
import { Access, createCache, type MemoryMonitor, type Registration, RegcacheError } from 'rdma-regcache';
import { PagemapWitness } from '../../src/memory/pagemap.js';
import { pageCeil, pageFloor } from '../../src/memory/pages.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import type { Case, Cell, Monitor } from './cell.js';
import { type Change, CHANGES } from './changes.js';
import { Connection } from './connection.js';
import type { Place } from './kinds-of-memory.js';
import { OtherThread } from './other-thread.js';

const MESSAGE_BYTES = 4 * PAGE_SIZE;

/** Says that it watches, and reports nothing. */
const KEEPS_FOR_EVER: MemoryMonitor = {
  kind: 'kept',
  counter: new Int32Array(2),
  watch: () => true,
  unwatch: () => undefined,
  drain: (sink) => {
    sink.drainedTo(0, 0);
  },
  close: () => undefined,
};

const [monitor, cases] = process.argv.slice(2) as [Monitor, string];
const connection = new Connection(MESSAGE_BYTES);
const witness = process.getuid?.() === 0 ? new PagemapWitness() : undefined;
const otherThread = new OtherThread();
await otherThread.ready();

for (const one of JSON.parse(cases) as Case[]) {
  const outcome = await tryOut(one).catch((error: unknown) => {
    if (!(error instanceof RegcacheError)) throw error;
    return { cell: 'refused', pfn: '-', errno: error.code } as const;
  });
  process.send!({ ...one, ...outcome } satisfies Cell);
}
await otherThread.end();
connection.close();
witness?.close();
process.disconnect();

type Outcome = Omit<Cell, keyof Case>;

async function tryOut({ change: name, actor }: Case): Promise<Outcome> {
  const change = CHANGES.find((one) => one.name === name)!;
  using cache = openCache();
  if (cache instanceof RegcacheError) return { cell: 'n/a', pfn: '-', errno: cache.code };
  const place = attempted(change, () => change.kind.make());
  if ('cell' in place) return place;
  try {
    const old = fill(place, 'old');
    let frames: BigUint64Array | undefined;
    {
      using registration = cache.acquireRange(place.address, place.length, Access.LOCAL_WRITE);
      frames = framesOf(place);
      if (!(await send(place, registration)).equals(old)) return { cell: 'wrong', pfn: '-', errno: '' };
    }
    const { registrations } = cache.statistics();
    const failure = attempted(change, () => {
      if (actor === 'other thread') otherThread.run({ change: name, place });
      else if (actor === 'same thread') change.make!(place);
      else change.makeOutside!(place);
      return {};
    });
    if ('cell' in failure) return failure;
    const now = fill(place, 'new');
    using registration = cache.acquireRange(place.address, place.length, Access.LOCAL_WRITE);
    // What was made just now pins what it found.
    if (cache.statistics().registrations !== registrations) frames = framesOf(place);
    const pfn = compare(frames, framesOf(place));
    const arrived = await send(place, registration);
    return { cell: verdict(arrived, old, now), pfn, errno: '' };
  } finally {
    change.after?.();
    change.kind.end(place);
  }
}

/** Some changes leave some of the pages as they are: one that is old is enough. */
function verdict(arrived: Buffer, old: Buffer, now: Buffer): Cell['cell'] {
  if (arrived.equals(now)) return 'fresh';
  const page = (bytes: Buffer, n: number): Buffer => bytes.subarray(n * PAGE_SIZE, (n + 1) * PAGE_SIZE);
  const pages = Array.from({ length: MESSAGE_BYTES / PAGE_SIZE }, (_, n) => n);
  return pages.some((n) => page(arrived, n).equals(page(old, n))) ? 'stale' : 'wrong';
}

/** A cache, or why there is none. */
function openCache() {
  try {
    return createCache(connection.pd, { monitor: monitor === 'kept' ? KEEPS_FOR_EVER : monitor });
  } catch (error) {
    if (error instanceof RegcacheError && error.code === 'ERR_NO_MONITOR') {
      return Object.assign(error, { [Symbol.dispose]: () => undefined });
    }
    throw error;
  }
}

/** What the memory or the change itself fails with says nothing about registrations. */
function attempted<Result extends object>(change: Change, run: () => Result): Result | Outcome {
  try {
    return run();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === '') throw error;
    return { cell: change.mayLack ? 'n/a' : 'broken', pfn: '-', errno: code };
  }
}

/** Write the bytes that will be sent; what they are. */
function fill({ address }: Place, text: string): Buffer {
  return Buffer.from(bytesAt(address, MESSAGE_BYTES).fill(`${text} content; `, 'latin1'));
}

function send({ address }: Place, { lkey }: Registration): Promise<Buffer> {
  return connection.send(address, MESSAGE_BYTES, lkey);
}

function framesOf({ address }: Place): BigUint64Array | undefined {
  return witness?.frames(pageFloor(address), pageCeil(address + MESSAGE_BYTES));
}

function compare(pinned: BigUint64Array | undefined, mapped: BigUint64Array | undefined): Cell['pfn'] {
  if (pinned === undefined || mapped === undefined) return '-';
  return pinned.every((frame, n) => frame === mapped[n]) ? 'same' : 'other';
}
