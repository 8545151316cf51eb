import type { Cell } from './cell.js';
import { type Row, textOf } from './matrix.js';

const [LEFT, TOP, WIDTH, HEIGHT] = [330, 30, 96, 18];

const COLOURS: Record<Cell['cell'], string> = {
  fresh: '#b7e1c0',
  refused: '#f5e6a8',
  'n/a': '#eeeeee',
  broken: '#f3c39b',
  stale: '#d64545',
  wrong: '#d64545',
  hang: '#9b2fae',
  crash: '#9b2fae',
};

/** The matrix as a picture. */
export function svg(rows: readonly Row[]): string {
  const monitors = [...new Set(rows.map(({ monitor }) => monitor))];
  const nameOf = ({ change, actor }: Row): string => `${change}, by the ${actor}`;
  const names = [...new Set(rows.map(nameOf))];
  const x = (column: number): number => LEFT + column * WIDTH;
  const y = (line: number): number => TOP + line * HEIGHT;
  const text = (left: number, top: number, content: string, more = ''): string =>
    `<text x="${left}" y="${top + HEIGHT - 5}" ${more}>${escape(content)}</text>`;
  const middle = 'text-anchor="middle"';
  const cells = rows.map((row) => {
    const [left, top] = [x(monitors.indexOf(row.monitor)), y(names.indexOf(nameOf(row)))];
    const box = `<rect x="${left + 1}" y="${top + 1}" width="${WIDTH - 2}" height="${HEIGHT - 2}" fill="${COLOURS[row.cell]}"/>`;
    return box + text(left + WIDTH / 2, top, textOf(row), middle);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${x(monitors.length)}" height="${y(names.length) + 8}" font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...monitors.map((monitor, n) => text(x(n) + WIDTH / 2, 8, monitor, `${middle} font-weight="bold"`)),
    ...names.map((name, n) => text(8, y(n), name)),
    ...cells,
    '</svg>\n',
  ].join('\n');
}

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
