import type { WriteStream } from 'node:tty';

const COLOURS = { green: 32, yellow: 33, red: 31, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof COLOURS;

/** Colours a text, or leaves it alone. */
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_colour, text) => text;

const coloured: Paint = (colour, text) => `\x1b[${COLOURS[colour]}m${text}\x1b[0m`;

/** Colours for a terminal, unless NO_COLOR is set (no-color.org). */
export function paintFor(stream: Pick<WriteStream, 'isTTY'>, env: NodeJS.ProcessEnv = process.env): Paint {
  return stream.isTTY && (env['NO_COLOR'] ?? '') === '' ? coloured : plain;
}

/** Rows in columns as wide as their widest cell; the last one as it is. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths =
    rows[0]?.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map(
      (row) => (indent + row.map((cell, column) => cell.padEnd(widths[column])).join('  ')).trimEnd() + '\n',
    )
    .join('');
}
