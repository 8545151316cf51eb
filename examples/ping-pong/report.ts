/** Round trips of one size. Times in microseconds. */
export interface Result {
  bytes: number;
  roundTrips: number;
  least: number;
  median: number;
  /** 99 of 100 took no longer. */
  percentile99: number;
  most: number;
  histogram: Bucket[];
}

/** Round trips that took at least `from` and less than `below` microseconds. */
interface Bucket {
  from: number;
  below: number;
  count: number;
}

/** Characters of the longest bar. */
const BAR = 50;

export function resultOf(bytes: number, microseconds: Float64Array<ArrayBuffer>): Result {
  const sorted = microseconds.slice().sort();
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1];
  return {
    bytes,
    roundTrips: sorted.length,
    least: sorted[0],
    median: at(0.5),
    percentile99: at(0.99),
    most: at(1),
    histogram: histogramOf(sorted),
  };
}

/** Each bucket is twice as wide as the one before it. */
function histogramOf(sorted: Float64Array): Bucket[] {
  const exponents = Array.from(sorted, (time) => Math.max(0, Math.floor(Math.log2(time))));
  const buckets: Bucket[] = [];
  for (let exponent = exponents[0]; exponent <= exponents[exponents.length - 1]; exponent++) {
    const count = exponents.filter((each) => each === exponent).length;
    buckets.push({ from: exponent === 0 ? 0 : 2 ** exponent, below: 2 ** (exponent + 1), count });
  }
  return buckets;
}

/** The results for people: a table, and a histogram for each size. */
export function render(results: readonly Result[], poll: boolean): string {
  const line = (...cells: string[]): string =>
    cells.map((cell, column) => cell.padStart(column === 0 ? 9 : 12)).join('');
  return [
    `round trips, ${poll ? 'polling' : "waiting for the device's events"}`,
    '',
    line('bytes', 'round trips', 'least us', 'median us', '99 % us', 'most us'),
    '-'.repeat(9 + 5 * 12),
    ...results.map(({ bytes, roundTrips, least, median, percentile99, most }) =>
      line(
        String(bytes),
        String(roundTrips),
        ...[least, median, percentile99, most].map((us) => us.toFixed(1)),
      ),
    ),
    ...results.flatMap(({ bytes, histogram }) => ['', `${bytes} bytes`, ...bars(histogram)]),
  ].join('\n');
}

function bars(histogram: readonly Bucket[]): string[] {
  const most = Math.max(...histogram.map(({ count }) => count));
  return histogram.map(({ from, below, count }) => {
    const bar = '#'.repeat(Math.ceil((count / most) * BAR));
    return `${String(from).padStart(9)} to ${String(below).padEnd(8)} us ${String(count).padStart(9)}  ${bar}`.trimEnd();
  });
}
