const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes in the largest unit that leaves a number of at least one. */
export function inUnits(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 2 ** (10 * step);
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[step]}`;
}
