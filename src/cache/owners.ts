import type { Memory } from '../memory/locate.js';

/** So many are noted down before any is looked for twice. */
const FEW = 64;

/**
 * Several objects whose memory lies in the same pages, kept from being collected. There may be as many as there are
 * acquires, and nearly always all are let go of soon: to note one down is cheap, and only when there are many does it
 * matter which of them are the same.
 */
export class Owners {
  #all: object[];
  #room = FEW;

  constructor(first: Memory, second: Memory) {
    this.#all = [first, second];
  }

  add(owner: Memory): void {
    if (this.#all.length === this.#room) this.#dropRepeated();
    this.#all.push(owner);
  }

  #dropRepeated(): void {
    // The buffer, not the view: many views of a pooled buffer are one owner, so that there never are many more than
    // buffers.
    this.#all = [...new Set(this.#all.map((owner) => (ArrayBuffer.isView(owner) ? owner.buffer : owner)))];
    // As many again, so that this takes no longer for each than to note it down does.
    this.#room = Math.max(FEW, 2 * this.#all.length);
  }

  /** How many are noted down, of which some may be the same. */
  get size(): number {
    return this.#all.length;
  }
}
