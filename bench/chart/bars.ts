import type { Figure } from '../result.js';
import { scale, type ScaleKind } from './scale.js';
import { type Choice, extent, numberText, type Point, seriesOf, subtitleOf } from './series.js';
import { colour, figure, headHeight, pixel, text, widthOf } from './svg.js';

export interface Bars extends Choice {
  readonly title: string;
  /** The column that tells the groups apart; of one group alone only the bars are shown. */
  readonly category: string;
  readonly unit: string;
  /** Bars on a logarithmic axis have no zero: for what differs by orders of magnitude only. */
  readonly scale?: ScaleKind;
}

const [WIDTH, MARGIN, HEIGHT, GAP, HEADING] = [840, 24, 16, 5, 26];

interface Bar {
  readonly label: string;
  readonly point: Point;
  readonly colour: string;
}

/** Groups of horizontal bars with their values, and whiskers for their spread. */
export const bars =
  (spec: Bars): Figure =>
  (result) => {
    const series = seriesOf(result.rows, spec, spec.category);
    if (series.length === 0) return undefined;
    const groups = [...new Set(series.flatMap(({ points }) => points.map(({ key }) => key)))].map((key) => ({
      name: typeof key === 'number' ? `${numberText(key)} ${spec.category}` : key,
      bars: series.flatMap(({ name, points }, n) =>
        points
          .filter((point) => point.key === key)
          .map((point): Bar => ({ label: name, point, colour: colour(n) })),
      ),
    }));
    // One bar needs no heading.
    const single = series.length === 1;
    const shown = single
      ? [{ name: '', bars: groups.map(({ name, bars: [bar] }) => ({ ...bar, label: name })) }]
      : groups;
    const headed = shown.length > 1;

    const all = shown.flatMap((group) => group.bars);
    const left = MARGIN + 10 + Math.max(0, ...all.map(({ label }) => widthOf(label)));
    const right =
      WIDTH - MARGIN - 8 - Math.max(0, ...all.map(({ point }) => widthOf(labelOf(point, spec.unit))));
    const axis = scale(spec.scale ?? 'linear', extent(series));
    const at = (value: number): number => left + (right - left) * axis.at(value);
    // Its name is nowhere else when it is one of several that might have been shown.
    const named = single && !('by' in spec.series) && spec.series.length > 1;
    const subtitle = [...(named ? [series[0].name] : []), ...subtitleOf(result, series)];
    const top = headHeight(subtitle) + 14;
    const parts: string[] = [];
    let y = top;
    for (const group of shown) {
      if (headed) {
        parts.push(text(MARGIN, y + 17, group.name, 'class="group"'));
        y += HEADING;
      }
      for (const bar of group.bars) {
        parts.push(...draw(bar, y, at, spec.unit, right));
        y += HEIGHT + GAP;
      }
      y += GAP;
    }
    const grid = axis.ticks.flatMap((tick) => [
      `<path class="grid" d="M${pixel(at(tick))} ${top - 4}V${y}"/>`,
      text(at(tick), y + 15, numberText(tick), 'class="quiet" text-anchor="middle"'),
    ]);
    grid.push(text(right + 8, y + 15, spec.unit, 'class="quiet" dx="16"'));
    return figure({
      width: WIDTH,
      height: y + 32,
      title: spec.title,
      subtitle,
      margin: MARGIN,
      parts: [...grid, ...parts],
    });

    function draw(
      { label, point, colour: fill }: Bar,
      up: number,
      place: (value: number) => number,
      unit: string,
      end: number,
    ): string[] {
      const { value, spread } = point;
      const [zero, to, middle] = [place(0), place(value), up + HEIGHT / 2];
      return [
        text(left - 10, up + 12.5, label, 'text-anchor="end"'),
        `<rect x="${pixel(Math.min(zero, to))}" y="${up}" width="${pixel(Math.abs(to - zero))}" height="${HEIGHT}" rx="2" fill="${fill}"/>`,
        ...(spread > 0
          ? [
              `<path class="whisker" fill="none" d="M${pixel(place(value - spread))} ${middle - 4}v8m0 -4H${pixel(place(value + spread))}m0 -4v8"/>`,
            ]
          : []),
        text(Math.min(place(value + spread), end) + 8, up + 12.5, labelOf(point, unit)),
      ];
    }
  };

function labelOf({ value, spread }: Point, unit: string): string {
  const part = value === 0 ? 0 : Math.round((100 * spread) / value);
  return `${numberText(value)} ${unit}${part > 0 ? ` ±${part}%` : ''}`;
}
