import type { Figure } from '../result.js';
import { type Scale, scale, type ScaleKind } from './scale.js';
import { type Choice, extent, numberText, type Point, type Series, seriesOf, subtitleOf } from './series.js';
import { colour, figure, headHeight, pixel, text, widthOf } from './svg.js';

export interface Lines extends Choice {
  readonly title: string;
  readonly x: {
    /** Of numbers. */
    readonly column: string;
    readonly scale: ScaleKind;
    /** What to write at a value; the number, when it is left out. */
    readonly label?: (value: number) => string;
  };
  readonly y: { readonly unit: string; readonly scale: ScaleKind };
  /** A value that the lines are to be seen beside, and what it is called. */
  readonly mark?: { readonly value: number; readonly label: string };
}

const [WIDTH, MARGIN, HEIGHT, LEAST] = [840, 24, 300, 15];

/** Lines through points, with whiskers for their spread, each with its name at its end. */
export const lines =
  (spec: Lines): Figure =>
  (result) => {
    const series = seriesOf(result.rows, spec, spec.x.column).map(({ name, points }) => ({
      name,
      points: points.toSorted((a, b) => Number(a.key) - Number(b.key)),
    }));
    if (series.length === 0) return undefined;
    const keys = [...new Set(series.flatMap(({ points }) => points.map(({ key }) => Number(key))))];
    const subtitle = subtitleOf(result, series);
    const top = headHeight(subtitle) + 34;
    const bottom = top + HEIGHT;
    const across = fitted(spec.x.scale, keys);
    const up = scale(spec.y.scale, [
      ...extent(series),
      ...(spec.mark === undefined ? [] : [spec.mark.value]),
    ]);
    const left = MARGIN + 10 + Math.max(0, ...up.ticks.map((tick) => widthOf(numberText(tick))));
    const right =
      WIDTH -
      MARGIN -
      28 -
      Math.max(...[...series.map(({ name }) => name), spec.mark?.label ?? ''].map(widthOf));
    const x = (value: number): number => left + 12 + (right - left - 24) * across.at(value);
    const y = (value: number): number => bottom - HEIGHT * up.at(value);

    const parts = [
      text(MARGIN, top - 14, spec.y.unit, 'class="quiet"'),
      ...up.ticks.flatMap((tick) => [
        `<path class="grid" d="M${pixel(left)} ${pixel(y(tick))}H${pixel(right)}"/>`,
        text(left - 8, y(tick) + 4, numberText(tick), 'class="quiet" text-anchor="end"'),
      ]),
      `<path class="axis" d="M${pixel(left)} ${bottom}H${pixel(right)}"/>`,
      ...across.ticks.map((tick) =>
        text(
          x(tick),
          bottom + 17,
          spec.x.label?.(tick) ?? numberText(tick),
          'class="quiet" text-anchor="middle"',
        ),
      ),
      ...(spec.x.label === undefined
        ? [text((left + right) / 2, bottom + 35, spec.x.column, 'class="quiet" text-anchor="middle"')]
        : []),
      ...(spec.mark === undefined
        ? []
        : [
            `<path class="mark" d="M${pixel(left)} ${pixel(y(spec.mark.value))}H${pixel(right)}" stroke-width="1.5" stroke-dasharray="6 4"/>`,
          ]),
      ...series.flatMap((one, n) => draw(one, colour(n))),
      ...names(),
    ];
    return figure({
      width: WIDTH,
      height: bottom + 48,
      title: spec.title,
      subtitle,
      margin: MARGIN,
      parts,
    });

    function draw({ points }: Series, stroke: string): string[] {
      const place = ({ key, value }: Point): string => `${pixel(x(Number(key)))} ${pixel(y(value))}`;
      return [
        `<path d="M${points.map(place).join('L')}" fill="none" stroke="${stroke}" stroke-width="2" stroke-linejoin="round"/>`,
        ...points.flatMap((point) => {
          const { key, value, spread } = point;
          const across = pixel(x(Number(key)));
          const [low, high] = [y(value - spread), y(value + spread)].map(pixel);
          return [
            ...(spread > 0
              ? [
                  `<path class="whisker" fill="none" d="M${across - 4} ${low}h8m-4 0V${high}m-4 0h8" opacity="0.6"/>`,
                ]
              : []),
            `<circle cx="${across}" cy="${pixel(y(value))}" r="3.5" fill="${stroke}"/>`,
          ];
        }),
      ];
    }

    /** Beside the last points, as far apart as letters are high. */
    function names(): string[] {
      const ends = [
        ...series.map(({ name, points }, n) => ({ name, fill: colour(n), y: y(points.at(-1)!.value) })),
        ...(spec.mark === undefined
          ? []
          : [{ name: spec.mark.label, fill: undefined, y: y(spec.mark.value) }]),
      ].sort((a, b) => a.y - b.y);
      ends.forEach((end, n) => {
        if (n > 0) end.y = Math.max(end.y, ends[n - 1].y + LEAST);
      });
      for (let n = ends.length - 1; n >= 0; n--) {
        ends[n].y = Math.min(ends[n].y, n === ends.length - 1 ? bottom : ends[n + 1].y - LEAST);
      }
      return ends.flatMap((end) => [
        end.fill === undefined
          ? `<path class="mark" d="M${pixel(right + 4)} ${pixel(end.y)}h14" stroke-width="1.5" stroke-dasharray="6 2"/>`
          : `<circle cx="${pixel(right + 12)}" cy="${pixel(end.y)}" r="4" fill="${end.fill}"/>`,
        text(right + 22, end.y + 4, end.name),
      ]);
    }
  };

/** The values themselves are written at an axis that fits them, as long as there is room. */
function fitted(kind: ScaleKind, values: readonly number[]): Scale {
  if (values.length < 2 || values.length > 10) return scale(kind, values);
  const place = (value: number): number =>
    kind === 'log' ? Math.log10(Math.max(value, Number.MIN_VALUE)) : value;
  const [low, high] = [place(Math.min(...values)), place(Math.max(...values))];
  return { at: (value) => (place(value) - low) / (high - low), ticks: values };
}
