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

/** A text in lines of at most `width` characters, broken at spaces; a longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1) ?? ''} ${word}`.trimStart();
    if (lines.length !== 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
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
