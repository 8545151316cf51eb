/**
 * A process that tries changes under one monitor, one after the other. It sends its parent 'begin' before each, and then
 * what came of it.
 * Arguments: the monitor, and the cases in JSON.
 */
import { RegcacheError } from 'rdma-regcache';
import { PagemapWitness } from '../../src/memory/pagemap.js';
import { pageCeil, pageFloor } from '../../src/memory/pages.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import { HERE } from '../system-calls.js';
import type { Attempt, Case, FromTrial, Monitor } from './cell.js';
import { type Actor, type Change, CHANGES } from './changes.js';
import { Connection } from './connection.js';
import { IN_CHILD, ON_THREAD } from './elsewhere.js';
import { MESSAGE_BYTES, type Place } from './kinds-of-memory.js';
import { OutsideProcess } from './outside.js';
import { openSource, type Registered, type Source } from './source.js';
import { ChangingWorker } from './worker.js';

const [monitor, cases] = process.argv.slice(2) as [Monitor, string];
/** How often to make memory anew for a change. */
const PLACES = 5;

const connection = new Connection(MESSAGE_BYTES);
const witness = process.getuid?.() === 0 ? new PagemapWitness() : undefined;
const outside = new OutsideProcess();
const worker = new ChangingWorker();
await worker.ready();
const tell = (message: FromTrial): void => {
  process.send!(message);
};

for (const one of JSON.parse(cases) as Case[]) {
  tell('begin');
  let outcome = await tryOrBreak(one);
  for (let places = 1; isLost(outcome) && places < PLACES; places++) outcome = await tryOrBreak(one);
  tell({ ...one, ...outcome });
}
await worker.end();
outside.end();
connection.close();
witness?.close();
process.disconnect();

type Outcome = Omit<Attempt, keyof Case>;

/** What goes wrong beside the acquires is no refusal: a key that the device does not know any more, say. */
async function tryOrBreak(one: Case): Promise<Outcome> {
  try {
    return await tryOut(one);
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return { cell: 'broken', pfn: '-', errno: error.code };
  }
}

/** Whether memory of another thread came to lie where the range was for a moment unmapped: that tells nothing. */
function isLost({ cell, errno }: Outcome): boolean {
  return errno === 'EEXIST' || (cell === 'broken' && errno === 'EBUSY');
}

async function tryOut({ change: name, actor }: Case): Promise<Outcome> {
  const change = CHANGES.find((one) => one.name === name)!;
  using source = getOr('n/a', 'ERR_NO_MONITOR', () => openSource(monitor, connection.pd));
  if ('cell' in source) return source;
  const place = attempted(change, () => change.kind.make());
  if ('cell' in place) return place;
  let lost = false;
  try {
    const old = fill(place, 'old');
    let frames: BigUint64Array | undefined;
    {
      using registration = acquire(source, place);
      if ('cell' in registration) return registration;
      frames = framesOf(place);
      if (!(await send(place, registration)).equals(old)) return { cell: 'wrong', pfn: '-', errno: '' };
    }
    const registrations = source.registrations();
    const failure = attempted(change, () => {
      make(change, actor, place);
      return {};
    });
    if ('cell' in failure) {
      lost = isLost(failure);
      return failure;
    }
    const now = fill(place, 'new');
    using registration = acquire(source, place);
    if ('cell' in registration) return registration;
    // What was made just now pins what it found.
    if (source.registrations() !== registrations) frames = framesOf(place);
    const pfn = compare(frames, framesOf(place));
    const arrived = await send(place, registration);
    return { cell: verdict(arrived, old, now), pfn, errno: '' };
  } finally {
    change.after?.();
    // What is there now is not ours to unmap.
    if (!lost) change.kind.end(place);
  }
}

function make(change: Change, actor: Actor, place: Place): void {
  switch (actor) {
    case 'same thread':
      change.make(place, HERE);
      return;
    case 'thread':
      change.make(place, ON_THREAD);
      return;
    case 'child process':
      change.make(place, IN_CHILD);
      return;
    case 'worker':
      worker.run({ change: change.name, place });
      return;
    case 'other process':
      change.makeOutside!(place, (...command) => {
        outside.run(...command);
      });
  }
}

/** Some changes leave some of the pages as they are: one that is old is enough. */
function verdict(arrived: Buffer, old: Buffer, now: Buffer): Attempt['cell'] {
  if (arrived.equals(now)) return 'fresh';
  const page = (bytes: Buffer, n: number): Buffer => bytes.subarray(n * PAGE_SIZE, (n + 1) * PAGE_SIZE);
  const pages = Array.from({ length: MESSAGE_BYTES / PAGE_SIZE }, (_, n) => n);
  return pages.some((n) => page(arrived, n).equals(page(old, n))) ? 'stale' : 'wrong';
}

/** A registration, or why none was to be had. */
function acquire(source: Source, { address }: Place): Registered | (Outcome & Disposable) {
  return getOr('refused', undefined, () => source.acquire(address, MESSAGE_BYTES));
}

/** What a call returns, or that it threw an error (with this code, if there is one), and what that comes to. */
function getOr<Result extends Disposable>(
  cell: Outcome['cell'],
  code: string | undefined,
  get: () => Result,
): Result | (Outcome & Disposable) {
  try {
    return get();
  } catch (error) {
    if (!(error instanceof RegcacheError && error.code === (code ?? error.code))) throw error;
    return { cell, pfn: '-', errno: error.code, [Symbol.dispose]: () => undefined };
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

function send({ address }: Place, { lkey }: Registered): Promise<Buffer> {
  return connection.send(address, MESSAGE_BYTES, lkey);
}

function framesOf({ address }: Place): BigUint64Array | undefined {
  return witness?.frames(pageFloor(address), pageCeil(address + MESSAGE_BYTES));
}

function compare(pinned: BigUint64Array | undefined, mapped: BigUint64Array | undefined): Attempt['pfn'] {
  if (pinned === undefined || mapped === undefined) return '-';
  return pinned.every((frame, n) => frame === mapped[n]) ? 'same' : 'other';
}
