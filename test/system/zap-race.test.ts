import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { Access } from '../../src/access.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import { createCache } from '../../src/create-cache.js';
import { madvise, MADV_POPULATE_WRITE } from '../../src/system/libc.js';
import { bytesAt, map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import { requireStack } from './stack.js';
import { completions, connectedPair, type Side } from './verbs-fixture.js';
import { Zapper } from './zapper-thread.js';

const MEBIBYTE = 2 ** 20;
const MADV_NOHUGEPAGE = 15;
const TRIES = Number(process.env['REGCACHE_RACE_TRIES'] ?? 200);

const mincore = koffi.load(null).func('int mincore(uintptr_t address, size_t length, void *there)') as (
  address: number,
  length: number,
  there: Buffer,
) => number;
const there = Buffer.alloc(1);

/**
 * Whether a page is mapped, found out without touching it: to read one that was dropped maps the zero page, and then
 * the first write is a change that the kernel reports by itself.
 */
function isThere(address: number): boolean {
  assert.equal(mincore(address, PAGE_SIZE, there), 0);
  return (there[0] & 1) === 1;
}

/**
 * The pages that are mapped, whatever the processor's TLB still has: a thread that drops pages takes them out of the page
 * table first, and flushes the TLBs later. What is stored in between may go to the page that was dropped.
 */
class Mapped {
  readonly #memory = openSync('/proc/self/mem', 'r+');

  read(address: number): Buffer {
    const bytes = Buffer.alloc(PAGE_SIZE);
    assert.equal(readSync(this.#memory, bytes, 0, PAGE_SIZE, address), PAGE_SIZE);
    return bytes;
  }

  /** Fill the page. */
  write(address: number, text: string): void {
    assert.equal(writeSync(this.#memory, Buffer.alloc(PAGE_SIZE, text), 0, PAGE_SIZE, address), PAGE_SIZE);
  }

  close(): void {
    closeSync(this.#memory);
  }
}

describe('a thread drops a large range while another watches and pins', () => {
  requireStack();

  let pair: { a: Side; b: Side; [Symbol.dispose](): void };
  let cache: RegistrationCache;
  let target: ReturnType<Side['memory']>;

  let mapped: Mapped;

  before(() => {
    mapped = new Mapped();
    pair = connectedPair();
    target = pair.b.memory(PAGE_SIZE);
    cache = createCache(pair.a.pd);
  });

  after(() => {
    cache.close();
    pair[Symbol.dispose]();
    mapped.close();
  });

  /** Write the page to the other side with this key; what arrives must be what is in the page. */
  async function assertFresh(address: number, lkey: number, when: string): Promise<void> {
    target.bytes.fill(0);
    pair.a.qp.postSend(
      new SendRequests().write(1, address, PAGE_SIZE, lkey, target.address, target.region.rkey),
    );
    await completions(pair.a.cq, 1);
    const [sent, arrived] = [mapped.read(address), target.bytes];
    const text = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1', 0, 16));
    assert.ok(arrived.equals(sent), `${when}: ${text(sent)} was sent, ${text(arrived)} arrived`);
  }

  it(`never leaves a silently stale pin (${TRIES} tries)`, async () => {
    const length = 4 * MEBIBYTE;
    const address = map(length);
    const zapper = new Zapper(address, length);
    await zapper.ready();
    let inTheWindow = 0;
    let stillInside = 0;
    for (let n = 0; n < TRIES; n++) {
      populate(address, length);
      // Towards the end, so that the thread has far to go; not always the same page.
      const page = address + length - (1 + (n % 64)) * PAGE_SIZE;
      zapper.start();
      // At another moment of its way each time.
      for (let spin = (n % 20) * 100; spin > 0; spin--) Atomics.load(cacheLine, 0);
      cache.drain();
      if (zapper.isBusy()) inTheWindow++;
      // Waits until the other thread is out of the way, so that it has mostly ended afterwards.
      cache.acquireRange(page, PAGE_SIZE, Access.LOCAL_WRITE).release();
      if (zapper.isBusy()) stillInside++;
      zapper.join();
      bytesAt(page, PAGE_SIZE).fill(`try ${n}; `);
      using registration = cache.acquireRange(page, PAGE_SIZE);
      await assertFresh(page, registration.lkey, `try ${n}`);
    }
    await zapper.end();
    unmap(address, length);
    console.log(
      `      ${inTheWindow} of ${TRIES} registrations were begun while the other thread was inside, ${stillInside} also ended so`,
    );
    assert.ok(inTheWindow > 0, 'the call always had ended: make the range larger');
  });

  it('sends what was written to a new page while the call that dropped the old one still runs', async () => {
    const length = 1024 * MEBIBYTE;
    const address = map(length);
    // Page by page, so that the call takes its time.
    assert.equal(madvise(address, length, MADV_NOHUGEPAGE), 0);
    const zapper = new Zapper(address, length);
    await zapper.ready();
    const first = bytesAt(address, PAGE_SIZE);
    let inTheWindow = 0;
    for (let n = 0; n < 5 && inTheWindow === 0; n++) {
      populate(address, length);
      first.fill('before');
      cache.acquireRange(address, PAGE_SIZE).release();
      zapper.start();
      while (isThere(address)) continue;
      // From here on the page is a new one.
      mapped.write(address, `long zap ${n}; `);
      if (zapper.isBusy()) inTheWindow++;
      using registration = cache.acquireRange(address, PAGE_SIZE);
      await assertFresh(address, registration.lkey, 'during the call');
      zapper.join();
      await assertFresh(address, registration.lkey, 'after the call');
    }
    await zapper.end();
    unmap(address, length);
    assert.ok(inTheWindow > 0, 'the call always had ended: make the range larger');
  });
});

/** Touch every page, without an exception for each. */
function populate(address: number, length: number): void {
  assert.equal(madvise(address, length, MADV_POPULATE_WRITE), 0);
}

const cacheLine = new Int32Array(16);
