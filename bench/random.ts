/**
 * xorshift32 (Marsaglia, "Xorshift RNGs", 2003): the number after another one, both from 1 to 2^32 - 1; what follows is
 * the same for the same seed, in C, too.
 */
export function xorshift32(random: number): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return random >>> 0;
}
