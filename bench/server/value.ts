/**
 * What values consist of: the number of the value, in stamps of 16 bytes from its beginning to its end, so that any part
 * of it tells which value it is of.
 */

/** The length of a value is a multiple of it; bytes. */
export const STAMP_BYTES = 16;

const MARK = Buffer.from('value no', 'latin1');

function stampOf(number: number): Buffer {
  const stamp = Buffer.alloc(STAMP_BYTES);
  MARK.copy(stamp);
  stamp.writeBigUInt64LE(BigInt(number), MARK.length);
  return stamp;
}

/** Make it the value of that number, which is above those of all values that the process has had before. */
export function write(value: Buffer, number: number): void {
  value.fill(stampOf(number));
}

/**
 * What a client got: the value that it asked for; one, or a part of one, that was in the memory before; or what no value
 * has.
 */
export type Verdict = 'fresh' | 'stale' | 'wrong';

export function verdictOn(arrived: Buffer, number: number): Verdict {
  const stamp = stampOf(number);
  const first = arrived.subarray(0, STAMP_BYTES);
  // All stamps are like the first one when each is like the one before.
  if (first.equals(stamp) && arrived.subarray(STAMP_BYTES).equals(arrived.subarray(0, -STAMP_BYTES)))
    return 'fresh';
  for (let at = 0; at < arrived.length; at += STAMP_BYTES) {
    const found = arrived.subarray(at, at + STAMP_BYTES);
    if (found.subarray(0, MARK.length).equals(MARK) && found.readBigUInt64LE(MARK.length) < BigInt(number))
      return 'stale';
  }
  return 'wrong';
}
