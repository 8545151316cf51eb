const UNITS = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;

/** Bytes for people: '64 MiB'. */
export function sizeText(bytes: number): string {
  const [unit, factor] = UNITS.find(([, least]) => bytes >= least) ?? ['B', 1];
  return `${(bytes / factor).toLocaleString('en-US')} ${unit}`;
}
