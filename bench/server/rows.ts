import type { MemoryName, MonitorOrCopy } from '../about/server.js';
import { PROMISING } from '../coverage/cell.js';
import { measured, median, type Row } from '../result.js';
import type { Measured } from './measure.js';
import type { Sample } from './serve.js';

/** A row for each monitor and way to use memory. */
export function rowsOf(all: readonly Measured[]): Row[] {
  return all.map((one) => {
    const { memory, monitor, samples } = one;
    const none = all.find((other) => other.memory === memory && other.monitor === 'none');
    const { replies, stale } = samples.at(-1)!.total;
    return {
      memory,
      monitor,
      ...latencies(samples),
      // Without a cache there is nothing to hit.
      ...(monitor === 'copy' ? {} : hits(samples)),
      ...allocating(samples),
      ...(none === undefined ? {} : beside(none, one)),
      replies,
      stale,
      'stale/million': Math.round((1e6 * stale) / replies),
    };
  });
}

function latencies(samples: readonly Sample[]): Row {
  const rounds = samples.map((sample) => sorted(sample.latencies));
  const all = sorted(samples.flatMap((sample) => sample.latencies));
  return {
    ...measured('requests/s', samples.map(rateOf)),
    ...measured(
      'p50',
      rounds.map((round) => quantile(round, 0.5)),
    ),
    ...measured(
      'p99',
      rounds.map((round) => quantile(round, 0.99)),
    ),
    // Of a round alone these would be the same.
    'p99.9': Math.round(quantile(all, 0.999)),
    max: Math.round(all.at(-1)!),
  };
}

/** A second. */
const rateOf = ({ latencies }: Sample): number =>
  (1e6 * latencies.length) / latencies.reduce((sum, latency) => sum + latency);

const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

/** The least of the sorted numbers that so large a part of them does not exceed. */
const quantile = (numbers: readonly number[], part: number): number =>
  numbers[Math.ceil(part * numbers.length) - 1];

const hits = (samples: readonly Sample[]): Row =>
  measured(
    'hits %',
    samples.map(({ gets, registrations }) => 100 * (1 - registrations / Math.max(1, gets))),
    1,
  );

/** The program's own work, in the rounds in which there was some. */
function allocating(samples: readonly Sample[]): Row {
  const rounds = samples.filter((sample) => sample.allocating.length > 0);
  return rounds.length === 0 ? {} : measured('allocating', rounds.map(allocatingOf), 1);
}

const allocatingOf = ({ allocating }: Sample): number => median(allocating);

/** As multiples of what it is without a monitor in the same round: a machine that is slow is so for both. */
function beside(none: Measured, { samples }: Measured): Row {
  const ratios = (of: (sample: Sample) => number): number[] =>
    samples
      .map((sample, round) => of(sample) / of(none.samples[round]))
      .filter((ratio) => Number.isFinite(ratio));
  const [rates, times] = [ratios(rateOf), ratios(allocatingOf)];
  return {
    ...measured('rate/none', rates, 2),
    ...(times.length === 0 ? {} : measured('allocating/none', times, 2)),
  };
}

/** Why the result is none: a promise that was broken, bytes that nobody can account for, or nothing that was done. */
export function failures(
  all: readonly Measured[],
  monitors: readonly MonitorOrCopy[],
  memories: readonly MemoryName[],
): string[] {
  const promising = monitors.filter((monitor) => (PROMISING as ReadonlySet<string>).has(monitor));
  const missing = promising.flatMap((monitor) =>
    memories
      .filter((memory) => !all.some((one) => one.monitor === monitor && one.memory === memory))
      .map((memory) => `${monitor}, ${memory}: not measured`),
  );
  const failed = all.flatMap(({ memory, monitor, samples }) => {
    const { replies, stale, wrong } = samples.at(-1)!.total;
    const reasons: (string | false)[] = [
      replies === 0 && 'there was no reply',
      samples.every((sample) => sample.allocating.length === 0) && 'no value was replaced',
      stale > 0 && promising.includes(monitor) && `${stale} of ${replies} replies were stale`,
      wrong > 0 && `${wrong} of ${replies} replies had bytes of no value`,
    ];
    return reasons.filter((reason) => reason !== false).map((reason) => `${monitor}, ${memory}: ${reason}`);
  });
  return [...missing, ...failed];
}
