import koffi from 'koffi';
import type { Random } from './random.js';

type Copy<To, From> = (to: To, from: From, length: number) => void;
const libc = koffi.load(null);
const copyOut = libc.func('void memcpy(void *to, uintptr_t from, size_t length)') as Copy<Buffer, number>;
const copyIn = libc.func('void memcpy(uintptr_t to, void *from, size_t length)') as Copy<number, Buffer>;

/** What the addresses map to now, through the processor. Copies: a view of memory that moves would be left behind. */
export function readMemory(address: number, into: Buffer): Buffer {
  copyOut(into, address, into.length);
  return into;
}

export function writeMemory(address: number, bytes: Buffer): void {
  copyIn(address, bytes, bytes.length);
}

const SUPPLY = 2 ** 18;

/** Bytes that are other ones each time, out of a supply: to make them anew would take longer than to send them. */
export class Content {
  readonly #random: Random;
  readonly #supply = new Uint32Array(SUPPLY / 4);

  constructor(random: Random) {
    this.#random = random;
    for (let n = 0; n < this.#supply.length; n++) this.#supply[n] = random.next();
  }

  fill(bytes: Buffer): Buffer {
    const start = this.#random.below(SUPPLY - bytes.length);
    bytes.set(new Uint8Array(this.#supply.buffer, start, bytes.length));
    return bytes;
  }
}
