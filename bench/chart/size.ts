const KIB_PER = [
  ['GiB', 1024 * 1024],
  ['MiB', 1024],
  ['KiB', 1],
] as const;

/** KiB for people, in the largest unit that leaves a whole number before the point. */
export function sizeText(kib: number): string {
  const [unit, factor] = KIB_PER.find(([, least]) => kib >= least) ?? ['B', 1 / 1024];
  return `${(kib / factor).toLocaleString('en-US')} ${unit}`;
}
