import { closeSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { regcacheError, systemError } from '../errors.js';
import type { PageWitness } from './page-witness.js';
import { addressOf } from './locate.js';
import { pageOf } from './pages.js';

/** Bits of an entry, from Documentation/admin-guide/mm/pagemap.rst: frame number, and whether the page is in memory. */
const FRAME = (1n << 55n) - 1n;
const PRESENT = 1n << 63n;
const ENTRY = 8;

/** Page frames as /proc/self/pagemap tells them to a process with CAP_SYS_ADMIN. */
export class PagemapWitness implements PageWitness {
  #file: number;

  /** @throws ERR_INVALID_OPTION without the capability; the system's error, e.g. EMFILE */
  constructor() {
    this.#file = openPagemap();
    const probe = Buffer.alloc(1, 1);
    const frame = this.#read(pageOf(addressOf(probe)), 1)[0];
    if ((frame & FRAME) !== 0n) return;
    this.close();
    throw regcacheError(
      'ERR_INVALID_OPTION',
      'option checking needs the capability CAP_SYS_ADMIN, without which the kernel shows no page frames',
    );
  }

  frames(start: number, end: number): BigUint64Array {
    const first = pageOf(start);
    return this.#read(first, pageOf(end) - first).map((entry) =>
      (entry & PRESENT) === 0n ? 0n : entry & FRAME,
    );
  }

  #read(firstPage: number, pages: number): BigUint64Array {
    const entries = new BigUint64Array(pages);
    const bytes = readSync(this.#file, entries, 0, entries.byteLength, firstPage * ENTRY);
    if (bytes !== entries.byteLength)
      throw systemError(constants.errno.EIO, 'read', undefined, { path: '/proc/self/pagemap' });
    return entries;
  }

  close(): void {
    if (this.#file === -1) return;
    const file = this.#file;
    this.#file = -1;
    closeSync(file);
  }
}

function openPagemap(): number {
  const path = '/proc/self/pagemap';
  try {
    return openSync(path, 'r');
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    throw errno === undefined ? error : systemError(-errno, 'open', undefined, { path });
  }
}
