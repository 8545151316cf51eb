/** Where values are on an axis, and which of them are written there. */
export interface Scale {
  /** From 0, the low end of the axis, to 1; what is beyond an end is put there. */
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

export type ScaleKind = 'linear' | 'log';

const TICKS = 6;

/** From zero, or below it where there is less, to a round number above all values. */
function linear(values: readonly number[]): Scale {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const step = roundStep((high - low || 1) / TICKS);
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return {
    at: (value) => within((value / step - first) / (last - first)),
    // Multiplied, not added up, and rounded: 0.3, not 0.30000000000000004.
    ticks: Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(12))),
  };
}

/** 1, 2 or 5 times a power of ten, the least that is not below. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((digit) => digit * power >= least * 0.999) ?? 10);
}

/** From the digit below the least value to that above the greatest; what is not above zero is at the low end. */
function log(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.min(...positive, Infinity);
  if (low === Infinity) return log([1]);
  const high = Math.max(...positive);
  const decades = Math.log10(high / low);
  const digits = decades > 3 ? [1] : [1, 2, 5];
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.floor(Math.log10(high)) + 1; power++) {
    all.push(...digits.map((digit) => Number(`${digit}e${power}`)));
  }
  const ticks = all.slice(
    Math.max(
      0,
      all.findLastIndex((tick) => tick <= low),
    ),
    all.findIndex((tick) => tick > high || (tick === high && high > low)) + 1,
  );
  const [from, to] = [Math.log10(ticks[0]), Math.log10(ticks.at(-1)!)];
  return { at: (value) => (value > 0 ? within((Math.log10(value) - from) / (to - from)) : 0), ticks };
}

const within = (part: number): number => Math.min(1, Math.max(0, part));

const SCALES = { linear, log };

/** An axis that has room for all of the values. */
export const scale = (kind: ScaleKind, values: readonly number[]): Scale => SCALES[kind](values);
