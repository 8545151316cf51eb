import { escape, figure, headHeight, text } from '../chart/svg.js';
import { ACTORS, GROUPS } from './changes.js';
import type { Cell, Monitor } from './cell.js';
import type { Row } from './matrix.js';

const [MARGIN, NAMES, WIDTH, HEIGHT, GAP] = [24, 250, 112, 20, 3];
/** What the legend looks well with. */
const LEAST_WIDTH = 920;
const HEADING = 34;
/** The names of the columns and what came of them. */
const HEADS = 60;
/** Of a letter, on average, in the widest of the fonts; which one there is shows where the picture is looked at. */
const LETTER = 6.6;
const LINE = 15;

const TITLES: Record<Monitor, readonly [name: string, what: string]> = {
  ummunotify: ['ummunotify', 'this cache'],
  none: ['none', 'this cache'],
  userfaultfd: ['userfaultfd', 'this cache'],
  'malloc-hooks': ['libucm hooks', 'this cache'],
  ucx: ['UCX', 'its own cache'],
  kept: ['kept for ever', 'no monitor'],
};

/** Fill, text, and what it means. */
const LOOKS: Record<Cell['cell'], readonly [fill: string, ink: string, meaning: string]> = {
  fresh: ['#d3ecdf', '#1d5c41', 'got what was sent'],
  stale: ['#c8102e', '#ffffff', 'got what was there before'],
  wrong: ['#7a0019', '#ffffff', 'got neither'],
  refused: ['#fbe6a2', '#6b4e00', 'no registration was given'],
  broken: ['#f4b183', '#5f2c00', 'the change itself failed'],
  hang: ['#5b2a86', '#ffffff', 'nothing came'],
  crash: ['#33134f', '#ffffff', 'the process died'],
  'n/a': ['#f2f3f5', '#9aa1ab', 'no such change or monitor here'],
};

/** Of those who make a change, in the order of the small boxes. */
const INITIALS = ['s', 't', 'w', 'c', 'o'];

/**
 * The matrix as a picture: a line for each change, and a box for each monitor, which is divided where it matters who
 * made the change.
 * @param where the kernel and machine
 */
export function svg(rows: readonly Row[], where: string): string {
  const monitors = [...new Set(rows.map(({ monitor }) => monitor))];
  const width = Math.max(LEAST_WIDTH, 2 * MARGIN + NAMES + monitors.length * WIDTH);
  const parts: string[] = [];
  const what = "What a receiver got over RDMA after the memory's mapping was changed, by who watched it.";
  const subtitle = [what, where].flatMap((content) => linesOf(content, width - 2 * MARGIN));
  let y = headHeight(subtitle) + 24;
  const key = legend(rows, y, width);
  parts.push(...key.parts);
  y = key.end + 2;
  const put = (content: string): void => {
    for (const line of linesOf(content, width - 2 * MARGIN)) {
      parts.push(text(MARGIN, y, line, 'class="quiet"'));
      y += LINE;
    }
  };
  const actors = ACTORS.map((actor, n) => `${INITIALS[n]} ${actor}`).join(', ');
  put(`A box is divided where it matters who made the change: ${actors}.`);
  put('raw: by a system call past libc. tried: pages that are registered may stay where they are.');
  y += HEADS;
  parts.push(...monitors.map((monitor, n) => head(MARGIN + NAMES + n * WIDTH, y, monitor, rows)));
  for (const [group, changes] of Object.entries(GROUPS)) {
    const names = changes
      .map(({ name }) => name)
      .filter((name) => rows.some(({ change }) => change === name));
    if (names.length === 0) continue;
    parts.push(text(MARGIN, y + HEADING - 10, group, 'class="group"'));
    y += HEADING;
    for (const name of names) {
      parts.push(text(MARGIN, y + 14, name));
      monitors.forEach((monitor, n) => {
        const cells = rows.filter((row) => row.change === name && row.monitor === monitor);
        parts.push(box(MARGIN + NAMES + n * WIDTH, y, cells));
      });
      y += HEIGHT;
    }
  }
  const title = 'Who sends stale bytes?';
  return figure({ width, height: y + MARGIN, title, subtitle, margin: MARGIN, parts });
}

/** The name of a column and what came of it, down to `y`. */
function head(x: number, y: number, monitor: Monitor, rows: readonly Row[]): string {
  const [name, what] = TITLES[monitor];
  const cells = rows.filter((row) => row.monitor === monitor);
  const stale = cells.filter(({ cell }) => cell === 'stale').length;
  const middle = `x="${x + WIDTH / 2}" text-anchor="middle"`;
  const verdict = stale === 0 ? 'never stale' : `${stale} of ${cells.length} stale`;
  const look = stale === 0 ? 'good' : 'bad';
  return [
    `<text ${middle} y="${y - 28}" class="head">${escape(name)}</text>`,
    `<text ${middle} y="${y - 14}" class="quiet">${escape(what)}</text>`,
    `<text ${middle} y="${y + 2}" font-size="11" font-weight="600" class="${look}">${verdict}</text>`,
  ].join('\n');
}

/** What the boxes mean that there are, in as many lines as it takes. */
function legend(rows: readonly Row[], top: number, width: number): { parts: string[]; end: number } {
  const parts: string[] = [];
  let [x, y] = [MARGIN, top];
  for (const [cell, [fill, , meaning]] of Object.entries(LOOKS)) {
    if (!rows.some((row) => row.cell === cell)) continue;
    const words = `${cell}: ${meaning}`;
    const room = 32 + LETTER * words.length;
    if (x + room > width) [x, y] = [MARGIN, y + 18];
    parts.push(`<rect x="${x}" y="${y - 10}" width="12" height="12" rx="2" fill="${fill}"/>`);
    parts.push(text(x + 17, y, words, 'class="quiet"'));
    x += room;
  }
  return { parts, end: y + 18 };
}

/** As many words to a line as there is room for; px. */
function linesOf(content: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of content.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && LETTER * longer.length > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

function box(x: number, y: number, cells: readonly Row[]): string {
  const looks = new Set(cells.map(wordFor));
  if (cells.length > 0 && looks.size === 1) return part(x, y, WIDTH - GAP, wordFor(cells[0]), cells[0]);
  const width = (WIDTH - GAP + 1) / cells.length;
  return cells
    .map((cell, n) => part(x + n * width, y, width - 1, INITIALS[ACTORS.indexOf(cell.actor)], cell))
    .join('\n');
}

/** Right by chance, where the old pages had the same bytes, is not the same as right. */
function wordFor({ cell, pfn }: Cell): string {
  return pfn === 'other' && cell === 'fresh' ? 'fresh (pfn)' : cell;
}

function part(x: number, y: number, width: number, word: string, { cell, actor, errno }: Row): string {
  const [fill, ink] = LOOKS[cell];
  const hint = `<title>${escape([actor, cell, errno].filter(Boolean).join(', '))}</title>`;
  return (
    `<g>${hint}<rect x="${x}" y="${y}" width="${width}" height="${HEIGHT - GAP}" rx="3" fill="${fill}"/>` +
    `<text x="${x + width / 2}" y="${y + 12.5}" text-anchor="middle" font-size="11" style="fill:${ink}">${escape(word)}</text></g>`
  );
}
