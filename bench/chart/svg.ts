/** What all figures have in common: their frame, text, and colours for light and dark. */
const FONT = "system-ui, 'Helvetica Neue', 'DejaVu Sans', sans-serif";

/** Rules of a figure that stands in a page must not reach what is around it. */
const STYLE = [
  '.figure{fill:#22262c}.figure .paper{fill:#ffffff}',
  '.figure .title{font-size:19px;font-weight:600}.figure .quiet{fill:#68707b;font-size:11px}',
  '.figure .group{font-weight:600;fill:#68707b}.figure .head{font-weight:600;font-size:13px}',
  '.figure .good{fill:#1d5c41}.figure .bad{fill:#c8102e}',
  '.figure .grid{stroke:#e3e6ea}.figure .axis{stroke:#9aa1ab}.figure .whisker,.figure .mark{stroke:#22262c}',
  '@media(prefers-color-scheme:dark){.figure{fill:#e4e7eb}.figure .paper{fill:#16191d}',
  '.figure .quiet,.figure .group{fill:#9aa3ae}.figure .good{fill:#6fcf9f}.figure .bad{fill:#ff6b7d}',
  '.figure .grid{stroke:#2b3036}.figure .axis{stroke:#5d6570}.figure .whisker,.figure .mark{stroke:#e4e7eb}}',
].join('');

/** Of the series of a chart, in their order; they can be told apart on white and on black. */
const COLOURS = ['#3f87d0', '#e0692f', '#2ba27a', '#b565b0', '#c39a1f', '#5cb3cf', '#8b929c', '#d0547a'];

export const colour = (n: number): string => COLOURS[n % COLOURS.length];

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  /** Lines. */
  readonly subtitle: readonly string[];
  readonly margin: number;
  readonly parts: readonly string[];
}

/** Where the first line of the subtitle stands, and how much further down the next one. */
const [SUBTITLE, LINE] = [55, 16];

/** How far down title and subtitle reach. */
export const headHeight = (subtitle: readonly string[]): number => SUBTITLE + LINE * subtitle.length - 6;

/** A whole picture. Title and subtitle take `headHeight` of its height. */
export function figure({ width, height, title, subtitle, margin, parts }: Frame): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="figure" role="img" aria-label="${escape(title)}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${FONT}" font-size="12">`,
    `<style>${STYLE}</style>`,
    '<rect class="paper" width="100%" height="100%" rx="6"/>',
    text(margin, 36, title, 'class="title"'),
    ...subtitle.map((line, n) => text(margin, SUBTITLE + LINE * n, line, 'class="quiet"')),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

export const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${pixel(x)}" y="${pixel(y)}" ${attributes}>${escape(content)}</text>`;

/** For XML and HTML, in text and in attributes. */
export const escape = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A tenth of a pixel is as good as it gets. */
export const pixel = (value: number): number => Math.round(value * 10) / 10;

/** Estimates the width in pixels of a text of 12 pixels. */
export const widthOf = (content: string): number => 7 * content.length;
