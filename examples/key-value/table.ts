import { createHash } from 'node:crypto';
import { allocatePageAligned } from 'rdma-regcache';

/**
 * A hash table in one piece of memory, made so that others can read it while it changes, without asking. It consists of
 * slots of one size, and in each is, little-endian:
 *
 *     byte 0    8 bytes of the SHA-256 of all that follows, up to the end of the value
 *          8    version: how often this key was put (32 bits)
 *         12    bytes of the key (32 bits)
 *         16    bytes of the value (32 bits)
 *         20    the key, then the value
 *
 * A slot of zeros is free. Whoever reads a slot while it is being written gets a mix of both, a torn read, and sees it
 * by the checksum. (A version alone, compared before and after, would not do: no RDMA device promises to read memory
 * from its first byte to its last.)
 */
export interface Shape {
  readonly slots: number;
  readonly slotBytes: number;
}

export interface Entry {
  readonly key: string;
  readonly value: Buffer;
  readonly version: number;
}

const AT = { checksum: 0, version: 8, keyBytes: 12, valueBytes: 16, content: 20 } as const;

/** Slots that are tried for a key, beginning with its own. */
export const TRIES = 16;

/** The slot number `attempt` for a key. */
export function slotOf({ slots }: Shape, key: string, attempt: number): number {
  return (createHash('sha256').update(key).digest().readUInt32LE() + attempt) % slots;
}

/** Whether a slot has room for it. */
export function fits({ slotBytes }: Shape, key: string, value: Uint8Array): boolean {
  return AT.content + Buffer.byteLength(key) + value.length <= slotBytes;
}

function checksum(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, 8);
}

/** What is in a slot. */
export type Slot = 'free' | 'torn' | Entry;

/** @param bytes a copy of a slot: of one that changes meanwhile nothing is sure */
export function decode(bytes: Buffer): Slot {
  const version = bytes.readUInt32LE(AT.version);
  const isZero = version === 0 && bytes.readBigUInt64LE(AT.checksum) === 0n;
  if (isZero) return 'free';
  const keyEnd = AT.content + bytes.readUInt32LE(AT.keyBytes);
  const end = keyEnd + bytes.readUInt32LE(AT.valueBytes);
  if (end > bytes.length) return 'torn';
  if (!checksum(bytes.subarray(AT.version, end)).equals(bytes.subarray(0, AT.version))) return 'torn';
  return {
    key: bytes.toString('utf8', AT.content, keyEnd),
    value: Buffer.from(bytes.subarray(keyEnd, end)),
    version,
  };
}

/** The server's side of it, the only one that writes. */
export class Table implements Shape {
  readonly slots: number;
  readonly slotBytes: number;
  readonly memory: Buffer;

  constructor({ slots, slotBytes }: Shape) {
    this.slots = slots;
    this.slotBytes = slotBytes;
    this.memory = allocatePageAligned(slots * slotBytes);
  }

  /** @param value that `fits`; returns false when there is no free slot for the key */
  put(key: string, value: Buffer): boolean {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const start = slotOf(this, key, attempt) * this.slotBytes;
      const slot = this.memory.subarray(start, start + this.slotBytes);
      const before = decode(slot);
      if (typeof before !== 'string' && before.key !== key) continue;
      this.#write(slot, key, value, typeof before === 'string' ? 1 : before.version + 1);
      return true;
    }
    return false;
  }

  /** Clients may be reading it at this moment. */
  #write(slot: Buffer, key: string, value: Buffer, version: number): void {
    slot.writeUInt32LE(version, AT.version);
    slot.writeUInt32LE(Buffer.byteLength(key), AT.keyBytes);
    slot.writeUInt32LE(value.length, AT.valueBytes);
    const valueAt = AT.content + slot.write(key, AT.content);
    value.copy(slot, valueAt);
    checksum(slot.subarray(AT.version, valueAt + value.length)).copy(slot, AT.checksum);
  }
}
