import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { allocatePageAligned, type AllocateOptions } from '../../src/memory/allocate.js';
import { addressOf, type Memory } from '../../src/memory/locate.js';
import { pageCeil, pageFloor } from '../../src/memory/pages.js';
import { bytesAt, PAGE_SIZE } from '../../src/system/mapping.js';
import { collectGarbage } from '../garbage.js';

type Limit = (resource: number, limits: BigUint64Array) => number;

const MiB = 2 ** 20;
const LENGTHS = [1, 100, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 16 * PAGE_SIZE, MiB, MiB + 1];

/** The pages that the memory touches, by their addresses. */
function pagesOf(memory: Memory & { byteLength: number }): number[] {
  const start = addressOf(memory);
  const pages = [];
  for (let page = pageFloor(start); page < start + memory.byteLength; page += PAGE_SIZE) pages.push(page);
  return pages;
}

for (const shared of [false, true]) {
  describe(`memory: page-aligned${shared ? ' and shared' : ''}`, () => {
    const allocate = (length: number) => allocatePageAligned(length, { shared });

    it('has the length asked for, starts at a page, and owns its last page to the end', () => {
      for (const length of LENGTHS) {
        const memory = allocate(length);
        assert.equal(memory.length, length);
        const start = addressOf(memory);
        assert.equal(start % PAGE_SIZE, 0);
        // One allocation holds the whole of its pages: nothing else can be in them.
        const whole = addressOf(memory.buffer);
        assert.ok(whole <= start);
        assert.ok(whole + memory.buffer.byteLength >= pageCeil(start + length));
      }
    });

    it(`lies in ${shared ? 'a SharedArrayBuffer' : 'an ArrayBuffer'} that nobody can resize`, () => {
      const { buffer } = allocate(100);
      assert.equal(buffer instanceof SharedArrayBuffer, shared);
      assert.ok(!(buffer as { resizable?: boolean }).resizable);
      assert.ok(!(buffer as { growable?: boolean }).growable);
    });

    it('is zero, in memory that was used before too', () => {
      for (let round = 0; round < 200; round++) {
        for (const length of [100, PAGE_SIZE + 1, 20 * PAGE_SIZE]) {
          const memory = allocate(length);
          const pages = bytesAt(addressOf(memory), pageCeil(length));
          assert.ok(pages.every((byte) => byte === 0));
          pages.fill(0xff);
        }
        if (round % 20 === 0) collectGarbage();
      }
    });

    it('shares no page with other memory', () => {
      const owned = new Set<number>();
      const kept: object[] = [];
      const others: (Memory & { byteLength: number })[] = [];
      for (let n = 1; n <= 500; n++) {
        const memory = allocate(n * 37);
        kept.push(memory);
        for (const page of pagesOf(memory)) {
          assert.ok(!owned.has(page), 'a page was handed out twice');
          owned.add(page);
        }
        others.push(
          new ArrayBuffer(n),
          Buffer.from('pooled'),
          Buffer.alloc(n * 11),
          new SharedArrayBuffer(n),
        );
      }
      for (const other of others)
        for (const page of pagesOf(other)) assert.ok(!owned.has(page), 'other memory lies in the page');
      assert.equal(kept.length, 500);
    });

    it('can be viewed as any typed array', () => {
      const { buffer, byteOffset } = allocate(80);
      for (const view of [
        new Float64Array(buffer, byteOffset, 10),
        new BigInt64Array(buffer, byteOffset, 10),
      ]) {
        assert.equal(addressOf(view) % PAGE_SIZE, 0);
        assert.equal(view.byteLength, 80);
      }
    });

    it('is given back to the system when nothing refers to it', async () => {
      // Far larger than any hole in malloc's heap, which it would fill, and keep.
      const length = 1024 * MiB;
      // In a function of its own, so that no stack slot holds it.
      const allocated = () => {
        const memory = allocate(length);
        memory[0] = 1;
        const start = addressOf(memory);
        assert.ok(isMapped(start, length));
        return start;
      };
      const start = allocated();
      for (let n = 0; n < 50 && isMapped(start, length); n++) {
        await new Promise(setImmediate);
        collectGarbage();
      }
      assert.ok(!isMapped(start, length), 'it is still mapped');
    });
  });
}

describe('memory: page-aligned', () => {
  it('keeps its place when it is transferred', () => {
    const memory = allocatePageAligned(100);
    const address = addressOf(memory);
    const moved = structuredClone(memory, { transfer: [memory.buffer as ArrayBuffer] });
    assert.equal(addressOf(moved), address);
    assert.equal(moved.length, 100);
    assert.throws(() => addressOf(memory), { code: 'ERR_DETACHED_BUFFER' });
  });

  const refused: [string, unknown][] = [
    ['0', 0],
    ['a negative length', -1],
    ['a fraction', 1.5],
    ['NaN', NaN],
    ['infinity', Infinity],
    ['a string', '4096'],
    ['a BigInt', 4096n],
    ['nothing', undefined],
    ['more than a Buffer can have', constants.MAX_LENGTH + 1],
  ];
  for (const [what, length] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => allocatePageAligned(length as number), {
        code: 'ERR_INVALID_LENGTH',
        message: new RegExp(`from 1 to ${constants.MAX_LENGTH}`),
      });
    });
  }

  it('says so when there is no room', () => {
    const libc = koffi.load(null);
    const getrlimit = libc.func('int getrlimit(int resource, void *limits)') as Limit;
    const setrlimit = libc.func('int setrlimit(int resource, void *limits)') as Limit;
    const RLIMIT_AS = 9;
    // The soft limit and the hard one.
    const limits = new BigUint64Array(2);
    assert.equal(getrlimit(RLIMIT_AS, limits), 0);
    const used = Number(/^VmSize:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]) * 1024;
    assert.equal(setrlimit(RLIMIT_AS, BigUint64Array.of(BigInt(used + 512 * MiB), limits[1])), 0);
    try {
      for (const shared of [false, true]) {
        assert.throws(() => allocatePageAligned(1024 * MiB, { shared }), {
          code: 'ENOMEM',
          syscall: 'calloc',
          length: 1024 * MiB,
        });
      }
    } finally {
      assert.equal(setrlimit(RLIMIT_AS, limits), 0);
    }
  });

  it('refuses options that are unknown or of another type', () => {
    for (const options of [null, 'shared', { shared: 1 }, { share: true }, { shared: 'yes' }]) {
      assert.throws(() => allocatePageAligned(10, options as AllocateOptions), {
        code: 'ERR_INVALID_OPTION',
      });
    }
  });
});

/** Whether all of the range is mapped. */
function isMapped(start: number, length: number): boolean {
  const ranges = readFileSync('/proc/self/maps', 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm);
  let end = start;
  for (const [, from, to] of ranges)
    if (parseInt(from, 16) <= end && end < parseInt(to, 16)) end = parseInt(to, 16);
  return end >= start + length;
}
