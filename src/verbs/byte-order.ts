/** A 32-bit value between network byte order and this machine's, little-endian on all that this package runs on. */
export const swap32 = (value: number): number =>
  ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
